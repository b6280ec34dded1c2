# A progress bar on a stream of its own, one in a frame, and its automatic form.
import io

import pandas as pd
from tqdm import tqdm
from tqdm.auto import tqdm as auto

out = io.StringIO()
assert sum(tqdm(range(100), file=out, ascii=True, desc="sum")) == 4950
assert "sum: 100%" in out.getvalue() and "100/100" in out.getvalue()

tqdm.pandas(file=out)
assert pd.Series([1, 2, 3]).progress_apply(lambda v: v * 2).sum() == 12
with tqdm(total=10, file=out) as bar:
    bar.update(4)
    assert bar.n == 4
for _ in auto(range(3)):
    pass
print("stack ok")
