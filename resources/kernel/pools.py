"""The thread pools of numeric libraries: one thread in sessions, which are copied; every core in jobs, which are not."""
import os

NAMES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
SETTERS = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads64_", "openblas_set_num_threads",
           "omp_set_num_threads")
size = 1


def use(cores):
    """In a kernel, before any user code."""
    global size
    if cores < 2:
        return
    size = cores
    for name in NAMES:
        os.environ[name] = str(cores)
    try:
        resize_loaded(cores)
    except Exception:
        pass  # slower, nothing else


def resize_loaded(cores):
    """What the zygote has loaded has read the names already."""
    import ctypes

    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if "openblas" in line or "libgomp" in line or "libomp" in line}
    for file in files:
        library = ctypes.CDLL(file)
        for name in SETTERS:
            if hasattr(library, name):
                getattr(library, name)(cores)
                break
