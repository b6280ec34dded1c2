# expect: 2.0 False
def f():
    import cmath
    return cmath.sqrt(4).real
print(f(), 'cmath' in globals())
