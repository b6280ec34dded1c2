# expect: 4
2 + 2
# %%
# expect: 5
_ + 1
# %%
# expect: 3
import asyncio
await asyncio.sleep(0.01)
3
# %%
# expect: hello
!echo hello
# %%
# expect: bytes
%timeit -n1 -r1 sum(range(10))
print('bytes')
# %%
# expect: <b>bold</b>
from IPython.display import HTML, Markdown, display
class Rich:
    def _repr_html_(self): return '<b>bold</b>'
    def __repr__(self): return 'Rich <b>bold</b>'
Rich()
# %%
# expect: # Title
display(Markdown('# Title'))
# %%
# expect: Docstring
len?
# %%
# expect-error: KeyError
# expect: in lookup
def lookup(d):
    return d['missing']
lookup({})
# %%
# expect-images: 1
from PIL import Image
Image.new('RGB', (16, 16), 'blue')
# %%
# expect: one
# expect: two
import sys
print('one')
print('two', file=sys.stderr)
