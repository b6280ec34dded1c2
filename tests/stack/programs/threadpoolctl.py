# The thread pools of the numeric libraries, seen and limited.
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

np.ones((50, 50)) @ np.ones((50, 50))
pools = threadpool_info()
assert any(pool["user_api"] == "blas" for pool in pools)
with threadpool_limits(limits=1):
    assert all(pool["num_threads"] == 1 for pool in threadpool_info())
    assert (np.ones((200, 200)) @ np.ones((200, 200)))[0, 0] == 200
print("stack ok")
