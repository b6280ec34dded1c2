# Pictures drawn, transformed, and written and read again in the usual formats.
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps, ImageStat, features

image = Image.new("RGB", (120, 80), "white")
draw = ImageDraw.Draw(image)
draw.rectangle((10, 10, 49, 69), fill=(255, 0, 0))
draw.text((60, 30), "text", fill="black", font=ImageFont.load_default(20))
assert image.getpixel((20, 20)) == (255, 0, 0)
assert dict(map(reversed, image.getcolors()))[255, 0, 0] == 40 * 60

for name in ("p.png", "p.webp", "p.tiff", "p.bmp", "p.gif", "p.jpg"):
    image.save(name, **({"lossless": True} if name.endswith("webp") else {}))
    again = Image.open(name).convert("RGB")
    off = max(ImageStat.Stat(ImageChops.difference(again, image)).mean)
    assert again.size == (120, 80) and off < 4, (name, off)

assert image.resize((60, 40), Image.Resampling.LANCZOS).size == (60, 40)
assert image.rotate(90, expand=True).size == (80, 120)
assert ImageOps.grayscale(image).getpixel((20, 20)) == 76
assert image.filter(ImageFilter.GaussianBlur(2)).getpixel((10, 40)) not in ((255, 0, 0), (255, 255, 255))
frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
frames[0].save("move.gif", save_all=True, append_images=frames[1:])
assert Image.open("move.gif").n_frames == 3
assert features.check("jpg") and features.check("freetype2")
print("stack ok")
