# expect-file: data.txt
open('data.txt', 'w').write('one')
# %%
# expect-file: data.txt
open('data.txt', 'w').write('two')
# %%
# expect-file: deep/er/data.txt
import os
os.makedirs('deep/er', exist_ok=True)
open('deep/er/data.txt', 'w').write('nested')
