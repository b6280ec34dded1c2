# timeout: 120
# expect-images: 1
# expect-file: .html
import plotly.express as px
px.bar(x=['a', 'b'], y=[1, 3], title='Bars').show()
