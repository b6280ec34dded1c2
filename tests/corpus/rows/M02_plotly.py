# tiers: full container
# timeout: 120
# expect-images: 1
# expect-file: .html
import plotly.express as px
fig = px.bar(x=['a', 'b'], y=[1, 3], title='Bars')
fig.show()
# %%
# timeout: 120
# expect-file: bar.png
fig.write_image('bar.png')
assert open('bar.png', 'rb').read(4) == b'\x89PNG'
