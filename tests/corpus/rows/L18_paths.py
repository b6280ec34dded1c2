# expect: True
# expect-file: bare.txt
# expect-file: sub/full.txt
import os
open('bare.txt', 'w').write('bare')
os.makedirs('sub', exist_ok=True)
open(os.path.join(os.getcwd(), 'sub', 'full.txt'), 'w').write('full')
print(os.getcwd() == SANDBOX_DIR and os.getcwd().startswith('/app/sandbox_data/'))
# %%
# expect: bare full
print(open(SANDBOX_DIR + '/bare.txt').read(), open('sub/full.txt').read())
