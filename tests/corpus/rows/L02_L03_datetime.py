# expect: True
from datetime import datetime
print(datetime.now().year >= 2024)
# %%
# expect: True
import datetime
print(datetime.datetime.now().year >= 2024)
