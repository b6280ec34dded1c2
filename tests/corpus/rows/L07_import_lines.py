# expect: 3.141592653589793 2.718281828459045 6.283185307179586
from math import (pi,
                  e)
from math import \
    tau
print(pi, e, tau)
