# Only that it is there: the pictures of plotly's figures are made outside of the session.
import kaleido
import plotly.io as pio

assert kaleido.__name__ == "kaleido"
assert callable(pio.to_image) and callable(pio.write_image)
print("stack ok")
