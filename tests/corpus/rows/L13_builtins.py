# expect: 3 7 ok
print(eval('1+2'), compile('7', 's', 'eval') and eval(compile('7', 's', 'eval')), 'ok')
# %%
# expect: True True x deleted
exec('x = 5')
print(globals()['x'] == 5, __import__('math').pi > 3, end=' ')
class T: pass
t = T(); t.a = 1
delattr(t, 'a')
print('x deleted' if not hasattr(t, 'a') else 'still')
# %%
# expect-error: EOFError
# expect: nobody is at a keyboard
input('name? ')
# %%
# expect: still here
print('still here')
