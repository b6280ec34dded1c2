# expect: a in a
import os
who = 'a'
open('a.txt', 'w').write('a')
print(who, 'in', 'a')
# %% session=b
# expect-error: NameError
# expect-not: a.txt
import os
print(os.listdir('.'))
who
# %%
# expect: ['a.txt'] a
print(os.listdir('.'), who)
