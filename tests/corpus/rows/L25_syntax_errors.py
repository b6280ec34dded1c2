# raw
# expect-error: SyntaxError
# expect-not: truncated
x = = 1
# %%
# raw
# expect-error: SyntaxError
print('a'
