# expect: 3.14159
import math; print(math.pi)
