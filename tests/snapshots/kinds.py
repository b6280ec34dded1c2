"""The kinds of values a snapshot is tested with. Each: name, setup, check, outcome.

outcome: "restored" - the check must hold afterwards; "remark" - the same, and the report has a remark on the name;
a text - not restored, and the reason contains that text. The check runs in the restored session; `it` is not needed:
the name itself is used. Run as a script it prints the kinds as JSON.
"""
import json

KINDS = [
    # plain Python
    ("numbers", "numbers = [1, -2**70, 2.5, 1e308, float('inf'), 3+4j, True, None]", "numbers == [1, -2**70, 2.5, 1e308, float('inf'), 3+4j, True, None]", "restored"),
    ("text", "text = 'naïve ☃ \\udcff' * 3", "text == 'naïve ☃ \\udcff' * 3", "restored"),
    ("huge_text", "huge_text = 'abcdefghij' * 1_000_000", "len(huge_text) == 10_000_000 and huge_text[-3:] == 'hij'", "restored"),
    ("huge_bytes", "huge_bytes = bytes(range(256)) * 20_000", "huge_bytes == bytes(range(256)) * 20_000", "restored"),
    ("sets", "sets = ({1, 2}, frozenset('ab'), bytearray(b'xyz'), range(3, 9, 2), slice(1, 2))", "sets == ({1, 2}, frozenset('ab'), bytearray(b'xyz'), range(3, 9, 2), slice(1, 2))", "restored"),
    ("money", "from decimal import Decimal\nmoney = {'a': Decimal('10.10'), 'b': Fraction(1, 3)}", "money == {'a': Decimal('10.10'), 'b': Fraction(1, 3)}", "restored"),
    ("moments", "import zoneinfo\nmoments = [datetime.datetime(2024, 3, 31, 1, 30, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')), datetime.timedelta(days=2), datetime.date(2020, 2, 29)]", "moments[0].utcoffset() == datetime.timedelta(hours=1) and moments[1:] == [datetime.timedelta(days=2), datetime.date(2020, 2, 29)]", "restored"),
    ("nested", "nested = collections.OrderedDict(a=collections.Counter('aab'), b=collections.deque([1, 2], maxlen=5), c=collections.defaultdict(list, {'k': [1]}))", "nested['a']['a'] == 2 and nested['b'].maxlen == 5 and nested['c']['new'] == []", "restored"),
    ("cyclic", "cyclic = [1]\ncyclic.append(cyclic)", "cyclic[1] is cyclic", "restored"),
    ("compiled", "compiled = re.compile(r'(\\w+)@(\\w+)', re.I)", "compiled.match('Bob@home').groups() == ('Bob', 'home')", "restored"),
    ("where", "from pathlib import Path\nwhere = Path('a') / 'b'", "where == Path('a/b')", "restored"),
    ("problem", "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    problem = error", "type(problem) is ZeroDivisionError and str(problem) == 'division by zero'", "restored"),
    # of __main__
    ("double", "factor = 2\ndef double(x, *, plus=0):\n    '''doc'''\n    return x * factor + plus", "double(4, plus=1) == 9 and double.__doc__ == 'doc'", "restored"),
    ("live_globals", "limit_ = 1\ndef live_globals():\n    return limit_", "[live_globals(), exec('limit_ = 5', globals()), live_globals()] == [1, None, 5]", "restored"),
    ("recursive", "def recursive(n):\n    return 1 if n < 2 else n * recursive(n - 1)", "recursive(10) == 3628800", "restored"),
    ("closure", "def make_counter():\n    count = 0\n    def step():\n        nonlocal count\n        count += 1\n        return count\n    return step\nclosure = make_counter()\nclosure(); closure()", "closure() == 3", "restored"),
    ("square", "square = lambda x: x ** 2", "square(7) == 49", "restored"),
    ("partial", "partial = functools.partial(double, plus=10)", "partial(1) == 12", "restored"),
    ("fib", "@functools.lru_cache(maxsize=None)\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(50)", "fib(80) == 23416728348467685", "remark"),
    ("Animal", "class Animal:\n    kinds = []\n    def __init__(self, name):\n        self.name = name\n        Animal.kinds.append(name)\n    def __eq__(self, other):\n        return type(self) is type(other) and self.name == other.name\n    @property\n    def loud(self):\n        return self.name.upper()\n    @classmethod\n    def make(cls):\n        return cls('made')\n    @staticmethod\n    def plain():\n        return 5", "Animal.kinds[0] == 'cat' and Animal('dog').loud == 'DOG' and Animal.make().name == 'made' and Animal.plain() == 5", "restored"),
    ("cat", "cat = Animal('cat')", "isinstance(cat, Animal) and cat == Animal('cat')", "restored"),
    ("Lion", "class Lion(Animal):\n    def __init__(self):\n        super().__init__('lion')\nlion = Lion()", "isinstance(lion, Lion) and isinstance(lion, Animal) and Lion().loud == 'LION'", "restored"),
    ("point", "@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: int = 0\n    tags: list = field(default_factory=list)\npoint = Point(1, tags=['t'])", "point == Point(1, 0, ['t']) and asdict(point) == {'x': 1, 'y': 0, 'tags': ['t']}", "restored"),
    ("color", "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\ncolor = Color.RED", "color is Color.RED and Color(2) is Color.BLUE", "restored"),
    ("pair", "Pair = collections.namedtuple('Pair', 'left right')\npair = Pair(1, 'two')", "pair == Pair(1, 'two') and pair.right == 'two'", "restored"),
    ("slotted", "class Slotted:\n    __slots__ = ('a', 'b')\nslotted = Slotted(); slotted.a = 1", "slotted.a == 1 and not hasattr(slotted, 'b')", "restored"),
    ("tree", "class Node:\n    def __init__(self, parent=None):\n        self.parent, self.children = parent, []\ntree = Node(); tree.children.append(Node(tree))", "tree.children[0].parent is tree", "restored"),
    ("bound", "bound = cat.__eq__", "bound(Animal('cat'))", "restored"),
    # shared references
    ("shared_a", "shared_a = [1, 2]", "shared_a == [1, 2]", "restored"),
    ("shared_b", "shared_b = {'inner': shared_a}", "shared_b['inner'] is shared_a", "restored"),
    ("view", "array = np.arange(12.0).reshape(3, 4)\nview = {'same': array}", "view['same'] is array and array.sum() == 66", "restored"),
    # modules
    ("my_json", "import json as my_json", "my_json.loads('[1]') == [1]", "restored"),
    ("ET", "import xml.etree.ElementTree as ET\nimport concurrent.futures", "ET.fromstring('<a/>').tag == 'a' and concurrent.futures.ThreadPoolExecutor", "restored"),
    # numpy and pandas
    ("structured", "structured = np.array([(1, 2.5, b'x')], dtype=[('a', 'i4'), ('b', 'f8'), ('c', 'S3')])", "structured['b'][0] == 2.5 and structured.dtype.names == ('a', 'b', 'c')", "restored"),
    ("strided", "strided = np.asfortranarray(np.arange(2_000_000.0).reshape(1000, 2000))[::3, ::2]", "strided.shape == (334, 1000) and strided[1, 1] == 6002.0", "restored"),
    ("big_array", "big_array = np.random.default_rng(1).standard_normal(500_000)", "np.array_equal(big_array, np.random.default_rng(1).standard_normal(500_000)) and (big_array.__setitem__(0, 7.0), big_array[0])[1] == 7.0", "restored"),
    ("masked", "masked = np.ma.array([1, 2, 3], mask=[0, 1, 0])", "masked.sum() == 4", "restored"),
    ("readonly", "readonly = np.arange(5); readonly.flags.writeable = False", "readonly.tolist() == [0, 1, 2, 3, 4] and not readonly.flags.writeable", "restored"),
    ("objects", "objects = np.array(['a', None, {'x': 1}], dtype=object)", "objects[2] == {'x': 1}", "restored"),
    ("generator_state", "generator_state = np.random.default_rng(42); generator_state.random(5); expected_draw = np.random.default_rng(42).random(6)[5]", "generator_state.random() == expected_draw", "restored"),
    ("frame", "frame = pd.DataFrame({'i': [1, 2, 3], 'f': [0.5, None, 2.0], 's': ['x', None, 'z'], 't': pd.date_range('2024-03-30', periods=3, tz='Europe/Berlin')})", "pd.testing.assert_frame_equal(frame, pd.DataFrame({'i': [1, 2, 3], 'f': [0.5, None, 2.0], 's': ['x', None, 'z'], 't': pd.date_range('2024-03-30', periods=3, tz='Europe/Berlin')})) is None", "restored"),
    ("multi", "multi = pd.DataFrame({'v': range(6)}, index=pd.MultiIndex.from_product([['a', 'b'], [1, 2, 3]], names=['k', 'n']))", "multi.loc[('b', 2), 'v'] == 4 and multi.index.names == ['k', 'n']", "restored"),
    ("categories", "categories = pd.Series(pd.Categorical(['lo', 'hi', 'lo'], categories=['lo', 'hi'], ordered=True))", "categories.cat.ordered and (categories < 'hi').tolist() == [True, False, True]", "restored"),
    ("arrow_dtypes", "arrow_dtypes = pd.DataFrame({'n': pd.array([1, None], dtype='int64[pyarrow]'), 's': pd.array(['x', None], dtype='string[pyarrow]')})", "str(arrow_dtypes.dtypes['n']) == 'int64[pyarrow]' and arrow_dtypes['s'].isna().tolist() == [False, True]", "restored"),
    ("nullable", "nullable = pd.Series([1, None, 3], dtype='Int64')", "nullable.sum() == 4 and nullable.dtype == 'Int64'", "restored"),
    ("periods", "periods = pd.Series(1.5, index=pd.period_range('2024-01', periods=3, freq='M'))", "periods['2024-02'] == 1.5", "restored"),
    ("intervals", "intervals = pd.cut([1, 5, 9], [0, 4, 10])", "intervals.codes.tolist() == [0, 1, 1]", "restored"),
    ("sparse_frame", "sparse_frame = pd.DataFrame({'a': pd.arrays.SparseArray([0, 0, 5])})", "sparse_frame['a'].sum() == 5", "restored"),
    ("grouped", "grouped = frame.groupby('i')", "grouped['f'].sum()[3] == 2.0", "restored"),
    # others of the stack
    ("table", "import pyarrow as pa\ntable = pa.table({'a': [1, 2], 'b': ['x', None]})", "table.to_pydict() == {'a': [1, 2], 'b': ['x', None]}", "restored"),
    ("polar", "import polars as pl\npolar = pl.DataFrame({'a': [1, 2], 's': ['x', None]})", "polar.equals(pl.DataFrame({'a': [1, 2], 's': ['x', None]}))", "restored"),
    ("lazy", "lazy = polar.lazy().filter(pl.col('a') > 1)", "lazy.collect().shape == (1, 2)", "restored"),
    ("dataset", "import xarray as xr\ndataset = xr.Dataset({'t': (('x', 'y'), np.ones((2, 3)))}, coords={'x': [10, 20]})", "float(dataset['t'].sel(x=20).sum()) == 3.0", "restored"),
    ("matrix", "import scipy.sparse\nmatrix = scipy.sparse.random(50, 50, 0.1, format='csr', random_state=0)", "matrix.nnz == 250 and matrix.format == 'csr'", "restored"),
    ("picture", "from PIL import Image\npicture = Image.new('RGB', (8, 8), (10, 20, 30))", "picture.getpixel((3, 3)) == (10, 20, 30)", "restored"),
    ("figure", "figure, axes = plt.subplots()\naxes.plot([1, 2, 3], label='line'); plt.close(figure)", "axes.figure is figure and axes.lines[0].get_ydata().tolist() == [1, 2, 3]", "restored"),
    ("chart", "import plotly.graph_objects as go\nchart = go.Figure(go.Bar(x=[1, 2], y=[3, 4]))", "list(chart.data[0].y) == [3, 4]", "restored"),
    ("model", "from sklearn.linear_model import LinearRegression\nmodel = LinearRegression().fit([[0], [1], [2]], [1, 3, 5])", "abs(model.predict([[10]])[0] - 21) < 1e-9", "restored"),
    ("pipeline", "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\nfrom sklearn.ensemble import RandomForestClassifier\npipeline = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit([[0, 1], [1, 0], [5, 5], [6, 5]], [0, 0, 1, 1])", "pipeline.predict([[5, 6]]).tolist() == [1]", "restored"),
    ("symbol", "import sympy\nsymbol = sympy.sqrt(sympy.Symbol('x', positive=True)) ** 2", "str(symbol) == 'x'", "restored"),
    ("element", "element = ET.fromstring('<a x=\"1\"><b/></a>')", "element.get('x') == '1' and len(element) == 1", "restored"),
    # what lives with its process
    ("reader", "Path('lines.txt').write_text('one\\ntwo\\n')\nreader = open('lines.txt'); reader.readline()", "reader.readline() == 'two\\n'", "remark"),
    ("writer", "writer = open('out.txt', 'w')", "", "open it again"),
    ("steps", "steps = (n for n in range(3))", "", "running frame"),
    ("thread", "import threading\nthread = threading.Thread(target=print)", "", "ends with its process|locks belong"),
    ("lock", "lock = threading.Lock()", "", "locks belong"),
    ("guarded", "guarded = {'data': [1, 2], 'lock': threading.RLock()}", "", "locks belong"),
    ("connection", "import sqlite3\nconnection = sqlite3.connect(':memory:')", "", "connect again"),
    ("duck", "import duckdb\nduck = duckdb.connect()", "", "connect again"),
    ("uses_lock", "def uses_lock():\n    with lock:\n        return 1", "callable(uses_lock)", "remark"),
    ("program", "import subprocess\nprogram = subprocess.Popen(['true']); program.wait()", "", "program|locks"),
    ("weak", "import weakref\nweak = weakref.ref(cat)", "", "weak reference"),
    ("stubborn", "class Stubborn:\n    def __reduce__(self):\n        raise RuntimeError('I stay here')\nstubborn = Stubborn()", "", "I stay here"),
    ("after", "after = 'fine'", "after == 'fine'", "restored"),
]

# What is not a variable but comes back too.
AROUND = [
    ("random.seed(7); random.random(); rest = random.Random(7); rest.random(); wanted = rest.random()", "random.random() == wanted"),
    ("np.random.seed(3); np.random.rand(4); wanted_np = np.random.RandomState(3).rand(5)[4]", "np.random.rand() == wanted_np"),
    ("pd.set_option('display.max_rows', 7)", "pd.get_option('display.max_rows') == 7"),
    ("plt.rcParams['lines.linewidth'] = 4.5", "plt.rcParams['lines.linewidth'] == 4.5"),
    ("os.environ['MY_SETTING'] = 'on'", "os.environ['MY_SETTING'] == 'on'"),
    ("_private = 11", "_private == 11"),
]

if __name__ == "__main__":
    print(json.dumps({"kinds": KINDS, "around": AROUND}))
