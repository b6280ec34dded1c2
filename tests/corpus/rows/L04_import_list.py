# expect: 3.0 True
import math, json as j
print(math.sqrt(9), j.loads('true'))
