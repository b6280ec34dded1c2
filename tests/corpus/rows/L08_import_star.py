# expect: 3 OrderedDict
from math import *
from collections import *
print(int(sqrt(9)), OrderedDict.__name__)
# %%
# expect: 42
with open('noall.py', 'w') as f:
    f.write('answer = 42\n_hidden = 1\n')
from noall import *
print(answer)
