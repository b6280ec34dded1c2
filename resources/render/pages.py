"""Pages of documents and small versions of pictures. The programs that read them are LibreOffice and poppler; both only
here, behind the worker's wall."""
import glob
import os
import re
import subprocess

from power_kernel.viewer import ViewError

OFFICE = ("/usr/lib/libreoffice/program/soffice.bin", "/opt/libreoffice/program/soffice.bin")
SECONDS = 100
MAX_PAGES = 2000


def run(arguments, home, what, seconds=60, again=None, more=None):
    """Standard output of a program; its errors as ours. again: the exit code after which it is run once more. more:
    further environment."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
                   "SAL_USE_VCLPLUGIN": "svp", "XDG_CACHE_HOME": home, "XDG_CONFIG_HOME": home, "SAL_DISABLE_OPENCL": "1", **(more or {})}
    try:
        ended = subprocess.run(arguments, env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, timeout=seconds)
    except FileNotFoundError:
        raise ViewError(f"The server has no {arguments[0]}; its administrator can install poppler-utils.") from None
    except subprocess.TimeoutExpired:
        raise ViewError(f"{what} took more than {seconds} s.") from None
    if again is not None and ended.returncode == again:
        return run(arguments, home, what, seconds, None, more)
    if ended.returncode != 0:
        told = (ended.stderr.strip() or ended.stdout.strip()).decode("utf-8", "replace").splitlines()
        raise ViewError(f"{what} failed ({ended.returncode}): {' '.join(told[:2])[:300] or 'without a word'}")
    return ended.stdout.decode("utf-8", "replace")


def copied(file, path):
    with open(path, "wb") as copy:
        while piece := file.read(1 << 20):
            copy.write(piece)
    return path


def as_pdf(path, home, office_helper):
    office = next((program for program in OFFICE if os.access(program, os.X_OK)), None)
    if office is None:
        raise ViewError("The server has no LibreOffice, which draws pages of Office documents; its administrator can install it "
                        "(installer/install-deps.sh office). The text is readable in execute_code: docx, openpyxl, pandas.")
    os.mkdir(os.path.join(home, "out"))
    arguments = [office, f"-env:UserInstallation=file://{home}/profile", "--headless", "--invisible", "--nologo", "--norestore", "--nodefault",
                 "--nolockcheck", "--convert-to", "pdf", "--outdir", os.path.join(home, "out"), path]
    more = {}
    if office_helper:  # no /tmp of its own: its socket goes to where it is started, which is short enough for one
        if not os.access(office_helper, os.R_OK):
            raise ViewError(f"Office documents cannot be drawn: {os.path.basename(office_helper)} is missing beside the server's programs; its "
                            "administrator can copy it there. The text is readable in execute_code: docx, openpyxl, pandas.")
        arguments[1:1] = ["-env:OSL_SOCKET_PATH=."]
        more["LD_PRELOAD"] = office_helper
    run(arguments, home, "Drawing the document", SECONDS, 81, more)  # 81: the profile is new, start once more
    made = glob.glob(os.path.join(home, "out", "*.pdf"))
    if not made:
        raise ViewError("LibreOffice made no pages of the document: it is damaged, protected by a password, or not what its name says.")
    return made[0]


def look(file, ending, first, last, width, home, office_helper=""):
    path = copied(file, os.path.join(home, "input." + re.sub(r"[^a-z0-9]", "", ending)))
    if ending != "pdf":
        path = as_pdf(path, home, office_helper)
    told = run(["pdfinfo", path], home, "Reading the document")
    count = re.search(r"^Pages:\s+(\d+)", told, re.M)
    if count is None:
        raise ViewError("The document has no pages.")
    count = int(count.group(1))
    if first > count:
        raise ViewError(f"The document has {count} pages; page {first} is not one of them.")
    last = min(last, count)
    # By hand one after the other: a page of a square kilometre must not take the others with it.
    pictures = []
    for page in range(first, last + 1):
        base = os.path.join(home, f"page-{page}")
        run(["pdftoppm", "-png", "-singlefile", "-f", str(page), "-l", str(page), "-scale-to", str(width), path, base], home, f"Drawing page {page}", 40)
        with open(base + ".png", "rb") as drawn:
            pictures.append((drawn.read(), "image/png"))
    return {"kind": "pages", "page_count": count, "first": first, "last": last}, pictures


def picture(file, side):
    import io

    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = 100_000_000
    with Image.open(file) as image:
        size, form = image.size, image.format
        if image.getexif().get(0x0112, 1) >= 5:  # a camera held upright
            size = size[::-1]
        image.draft("RGB", (side, side))
        image.thumbnail((side, side))
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(("I", "F")):  # 16 bits and more: from the darkest to the brightest, else all is white
            image = image.convert("F")
            low, high = image.getextrema()
            scale = 255 / ((high - low) or 1)
            image = image.point(lambda value: value * scale - low * scale).convert("L")
        if image.mode not in ("RGB", "RGBA", "L"):
            image = image.convert("RGBA" if "transparency" in image.info or image.mode in ("LA", "PA") else "RGB")
        out = io.BytesIO()
        image.save(out, "PNG" if image.mode == "RGBA" else "JPEG", quality=85)
    kind = "image/png" if image.mode == "RGBA" else "image/jpeg"
    return {"kind": "picture", "width": size[0], "height": size[1], "format": form}, [(out.getvalue(), kind)]
