# expect: 3.14159
from math import pi  # note
print(pi)
