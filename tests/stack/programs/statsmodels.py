# OLS by formula, ARIMA, a test for stationarity.
import warnings

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.tsa.arima.model import ARIMA
from statsmodels.tsa.stattools import adfuller

x = np.arange(20.0)
y = 2 + 3 * x + np.tile([0.5, -0.5], 10)
fit = smf.ols("y ~ x", pd.DataFrame({"x": x, "y": y})).fit()
assert abs(fit.params["x"] - 2.992481) < 1e-5 and abs(fit.params["Intercept"] - 2.071429) < 1e-5
assert fit.rsquared > 0.999 and "OLS Regression Results" in str(fit.summary())

logit = sm.Logit([0, 0, 0, 1, 0, 1, 1, 1], sm.add_constant(np.arange(8.0))).fit(disp=0)
assert logit.params[1] > 0 and logit.mle_retvals["converged"]

rng = np.random.default_rng(3)
series = np.zeros(300)
for i in range(1, 300):
    series[i] = 0.7 * series[i - 1] + rng.normal()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    arima = ARIMA(series, order=(1, 0, 0)).fit()
assert abs(arima.arparams[0] - 0.7) < 0.12
assert len(arima.forecast(5)) == 5
assert adfuller(series)[1] < 0.01 < adfuller(series.cumsum())[1]
print("stack ok")
