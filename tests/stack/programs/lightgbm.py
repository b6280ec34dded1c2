# A booster fitted on two OpenMP threads, saved and loaded again.
import lightgbm as lgb
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(500, 4))
y = (X[:, 0] + X[:, 1] > 0).astype(int)
model = lgb.LGBMClassifier(n_estimators=30, n_jobs=2, verbose=-1, random_state=0).fit(X[:400], y[:400])
assert model.score(X[400:], y[400:]) > 0.9
assert set(np.argsort(model.feature_importances_)[-2:]) == {0, 1}

model.booster_.save_model("model.txt")
again = lgb.Booster(model_file="model.txt")
assert np.allclose(again.predict(X), model.predict_proba(X)[:, 1])

regression = lgb.LGBMRegressor(n_estimators=60, verbose=-1).fit(X, 2 * X[:, 2])
assert np.corrcoef(regression.predict(X), X[:, 2])[0, 1] > 0.98
print("stack ok")
