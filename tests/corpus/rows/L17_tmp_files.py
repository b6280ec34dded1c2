# expect-file: x.png
# expect-file: x.csv
# expect-file: plain.txt
# expect-file: book.xlsx
# expect-file: pic.png
import pandas as pd, openpyxl
from pathlib import Path
from PIL import Image
plt.plot([1, 2, 3])
plt.savefig('/tmp/x.png')
pd.DataFrame({'a': [1]}).to_csv('/tmp/x.csv')
open('/tmp/plain.txt', 'w').write('plain')
Path('/tmp/path.txt').write_text('path')
book = openpyxl.Workbook()
book.save('/tmp/book.xlsx')
Image.new('RGB', (8, 8), 'red').save('/tmp/pic.png')
# %%
# expect: plain path 1
print(open('/tmp/plain.txt').read(), Path('/tmp/path.txt').read_text(), len(pd.read_csv('/tmp/x.csv')))
