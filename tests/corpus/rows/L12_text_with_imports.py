# expect: from x
# expect: import y
sql = """
select a
from x
import y
"""
print(sql)
