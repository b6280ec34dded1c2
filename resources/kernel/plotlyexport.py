"""Pictures of plotly figures: drawn by the server's browser worker, asked for with asks.py. User code finds them where
it expects them: write_image and to_image of plotly, and kaleido's functions."""
import json
import os

from power_kernel import asks

FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp", "svg": "svg", "pdf": "pdf"}


def text_of(figure):
    """JSON of a figure, or of anything made like one."""
    if hasattr(figure, "to_json"):
        return figure.to_json()
    from plotly.io import to_json

    return to_json(figure, validate=False)


def draw(figure, format=None, width=None, height=None, scale=None):
    """Bytes of the picture. Width and height in pixels: those of the layout, else 700 x 500, when not given."""
    kind = FORMATS.get(str(format or "png").lower().lstrip("."))
    if kind is None:
        raise ValueError(f"Images of plotly figures can be {', '.join(sorted(set(FORMATS)))}; {format!r} is none of them.")
    fields = {"format": kind}
    for name, value in (("width", width), ("height", height), ("scale", scale)):
        if value is not None:
            fields[name] = float(value)
    return asks.ask("render", text_of(figure).encode("utf-8", "replace"), **fields)


def patch_plotly_io(module):
    """plotly.io._kaleido: write_image and Figure.write_image come through its to_image."""

    def to_image(fig, format=None, width=None, height=None, scale=None, validate=True, engine=None):
        """The figure as an image: bytes. engine is accepted and has no meaning here."""
        figure = module.validate_coerce_fig_to_dict(fig, validate)
        settings = module.defaults
        layout = figure.get("layout", {})
        preset = layout.get("template", {}).get("layout", {}) if isinstance(layout.get("template"), dict) else {}
        return draw(
            figure,
            format or settings.default_format,
            width or layout.get("width") or preset.get("width") or settings.default_width,
            height or layout.get("height") or preset.get("height") or settings.default_height,
            scale or settings.default_scale,
        )

    module.to_image = to_image


def path_for(figure, path, options):
    """kaleido's rule: a file as named; a directory gets a name of the title."""
    ending = str(options.get("format") or "").lower().lstrip(".")
    path = os.fspath(path) if path is not None else "."
    if os.path.isdir(path) or not os.path.splitext(path)[1]:
        ending = ending or "png"
        if not os.path.isdir(path):
            return f"{path}.{ending}", ending
        taken = [os.path.join(path, f"fig{number or ''}.{ending}") for number in range(1000)]
        return next(name for name in taken if not os.path.exists(name)), ending
    return path, ending or os.path.splitext(path)[1]


def patch_kaleido(module):
    """Its functions ask the server instead of starting a browser, which a session may not."""

    def calc(fig, opts=None, **_):
        options = opts or {}
        return draw(fig, options.get("format"), options.get("width"), options.get("height"), options.get("scale"))

    def write(fig, path=None, opts=None, **_):
        options = dict(opts or {})
        several = isinstance(fig, (list, tuple)) or hasattr(fig, "__next__")
        for one in fig if several else [fig]:
            name, options["format"] = path_for(one, path, options)
            data = calc(one, options)
            with open(name, "wb") as file:
                file.write(data)

    def write_objects(fig_dicts, **_):
        for one in [fig_dicts] if isinstance(fig_dicts, dict) else fig_dicts:
            write(one["fig"], one.get("path"), one.get("opts"))

    def later(call):
        async def run(*arguments, **options):
            return call(*arguments, **options)

        return run

    for name, call in (("calc_fig", calc), ("write_fig", write), ("write_fig_from_object", write_objects)):
        setattr(module, name, later(call))
        setattr(module, f"{name}_sync", call)


def png(json_text):
    """What fig.show() puts beside the .html file."""
    return asks.ask("render", json_text.encode("utf-8", "replace"), format="png")
