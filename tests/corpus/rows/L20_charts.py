# expect-images: 1
plt.plot([1, 2]); plt.title('first')
# %%
# expect-images: 2
plt.figure(); plt.plot([1, 2])
plt.figure(); plt.plot([2, 1])
plt.show()
# %%
# expect-images: 1
# expect-error: ZeroDivisionError
plt.plot([3, 3])
1 / 0
# %% session=b
# expect-images: 0
print('no figure of another session')
# %%
# expect-images: 0
print('no figure of an earlier cell')
