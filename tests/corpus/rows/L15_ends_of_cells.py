x = 1
# %%
# expect-error: SystemExit
raise SystemExit(3)
# %%
# expect: x is 1
print('x is', x)
# %%
# expect: exit code 0
exit()
# %%
# expect-error: MemoryError
raise MemoryError('no more')
# %%
# expect-error: RecursionError
def deep(n):
    return deep(n + 1)
deep(0)
# %%
# expect: x is 1
print('x is', x)
