# expect: fallback True
try:
    import no_such_module_xyz
except ImportError:
    no_such_module_xyz = 'fallback'
if True:
    import string
print(no_such_module_xyz, 'a' in string.ascii_letters)
