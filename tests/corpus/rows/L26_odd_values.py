# expect: RESULT:
import decimal, uuid, datetime as dt, numpy as np
RESULT = {'nan': float('nan'), 'inf': float('inf'), 'date': dt.date(2026, 1, 2), 'time': dt.datetime(2026, 1, 2, 3),
          'decimal': decimal.Decimal('1.5'), 'uuid': uuid.UUID(int=5), 'np': np.float64(2.5), 'arr': np.arange(3)}
# %%
# expect: NaN
import pandas as pd
pd.DataFrame({'a': [1, None], 'd': [dt.date(2026, 1, 1), None]})
