"""Charts: matplotlib figures and plotly charts become Display frames and files chart_NNN.* in the workspace."""
import io
import os
import re
import sys
import time

from power_kernel import display, plotlyexport

DPI = 150
MAX_PIXELS = 16_000_000
workspace = "."
numbers = {"next": None}

def next_file(ending):
    """(name, open file) of a new chart_NNN file; a name is never used twice. (None, None) when nothing can be written."""
    if numbers["next"] is None:
        found = [re.fullmatch(r"chart_(\d+)\.\w+", name) for name in os.listdir(workspace)]
        numbers["next"] = max([int(match.group(1)) for match in found if match], default=0) + 1
    while True:
        name = f"chart_{numbers['next']:03d}.{ending}"
        numbers["next"] += 1
        try:
            return name, open(os.path.join(workspace, name), "xb")
        except FileExistsError:
            continue
        except OSError as error:
            display.note(f"The chart could not be written as a file: {error}.")
            return None, None


def is_figure(value):
    figure = sys.modules.get("matplotlib.figure")
    return figure is not None and isinstance(value, figure.Figure)


def is_empty(figure):
    return not (figure.axes or figure.texts or figure.images or figure.lines or figure.patches or figure.artists)


def title_of(figure):
    titles = [figure._suptitle.get_text()] if getattr(figure, "_suptitle", None) else []
    titles += [axes.get_title() for axes in figure.axes]
    return "; ".join(title for title in titles if title)


def png(figure):
    width, height = figure.get_size_inches()
    dpi = min(DPI, max(10, (MAX_PIXELS / max(width * height, 0.01)) ** 0.5))
    face = figure.get_facecolor()
    face = face if len(face) == 4 and face[3] > 0 else "white"
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=dpi, bbox_inches="tight", facecolor=face)
    return target.getvalue()


def close(figure):
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)


def capture(figure):
    """Shows a figure, writes it as a file and closes it."""
    try:
        if is_empty(figure):
            return
        data = png(figure)
        name, file = next_file("png")
        if file:
            with file:
                file.write(data)
        title = title_of(figure)
        display.publish("figure", {"image/png": data}, name=name, alt=f"Chart: {title}" if title else "Chart")
    finally:
        close(figure)


def open_figures():
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return [manager.canvas.figure for manager in helpers.Gcf.get_all_fig_managers()] if helpers else []


def capture_open(deadline=None):
    """Every open figure, also after an error; none is left for the next cell. `deadline`: monotonic seconds after
    which the rest is closed unseen (an interrupted cell must end soon)."""
    for figure in open_figures():
        if deadline is not None and time.monotonic() > deadline:
            display.note("Open figures were discarded because the cell was interrupted.")
            close_all()
            return
        try:
            capture(figure)
        except Exception as error:
            display.note(f"A figure could not be drawn: {type(error).__name__}: {error}")


def close_all():
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


def patch_pyplot():
    """plt.show() and Figure.show() capture, whichever backend the code asks for."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    import matplotlib.figure

    def show(*_, **__):
        for figure in open_figures():
            capture(figure)

    pyplot.show = show
    matplotlib.figure.Figure.show = lambda self, warn=True: capture(self)


def show_plotly(figure, *_, **__):
    """An interactive .html file and, where the server can draw it, a PNG block."""
    name, file = next_file("html")
    if file:
        with file:
            file.write(figure.to_html(include_plotlyjs=True, full_html=True).encode())
    data = {}
    try:
        data["image/png"] = plotlyexport.png(figure.to_json())
    except Exception as error:
        display.note(f"The chart is delivered as an interactive .html file only, without an image: {error}")
    title = getattr(getattr(figure.layout, "title", None), "text", None)
    display.publish("figure", data, name=name, alt=f"Interactive chart: {title}" if title else "Interactive chart")


def patch_plotly(module):
    figure = module.BaseFigure
    figure.show = show_plotly
    figure._ipython_display_ = show_plotly
