"""What is changed in libraries at the moment they are first imported."""
import sys

from power_kernel import figures, plotlyexport, pools


def quiet_tqdm(module):
    module.tqdm.monitor_interval = 0  # its monitor thread would never end


def calm_duckdb(module):
    """Its pool would stand in the way of checkpoints: one thread, unless the code asks for more."""
    if pools.size > 1:
        return
    import functools

    connect = module.connect

    @functools.wraps(connect)
    def single(database=":memory:", read_only=False, config=None):
        return connect(database, read_only, {"threads": 1, **(config or {})})

    module.connect = single
    module.execute("SET threads = 1")


HOOKS = {
    "duckdb": calm_duckdb,
    "plotly.basedatatypes": figures.patch_plotly,
    "plotly.io._kaleido": plotlyexport.patch_plotly_io,
    "kaleido": plotlyexport.patch_kaleido,
    "tqdm.std": quiet_tqdm,
}


class Finder:
    """Lets the real finders find the module, then runs its hook behind exec_module."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        hook = HOOKS.get(name)
        if hook is None:
            return None
        for finder in sys.meta_path:
            if finder is Finder or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = Loader(spec.loader, hook)
                return spec
        return None


class Loader:
    def __init__(self, loader, hook):
        self._loader, self._hook = loader, hook

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        module.__loader__ = module.__spec__.loader = self._loader
        self._hook(module)


def install():
    sys.meta_path.insert(0, Finder)
    for name, hook in HOOKS.items():
        if name in sys.modules:
            hook(sys.modules[name])
