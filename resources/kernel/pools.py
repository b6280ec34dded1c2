"""The thread pools of numeric libraries: one thread in sessions, which are copied; every core in jobs, which are not."""
import os

NAMES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
size = 1


def use(cores):
    """In a kernel, before any user code."""
    global size
    if cores < 2:
        return
    size = cores
    for name in NAMES:
        os.environ[name] = str(cores)
    try:  # what the zygote has loaded has read them
        import threadpoolctl

        threadpoolctl.threadpool_limits(limits=cores)
    except Exception:
        pass  # slower, nothing else
