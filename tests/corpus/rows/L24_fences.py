# raw
# expect: fenced 3
```python
print('fenced', 1 + 2)
```
# %%
# raw
# expect-error: SyntaxError
Please calculate the sum of the column and show me a chart.
