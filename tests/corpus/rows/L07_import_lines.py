# expect: 3.14159 2.71828 6.28318
from math import (pi,
                  e)
from math import \
    tau
print(pi, e, tau)
