x = 42
# %%
# timeout: 1
# expect: timeout
# expect: "survived":["files","variables"]
# expect-error: *
while True: pass
# %%
# expect: x is 42
print('x is', x)
# %%
# timeout: 1
# expect-error: *
while True:
    try:
        while True: pass
    except BaseException:
        pass
# %%
# expect: x is 42
print('x is', x)
