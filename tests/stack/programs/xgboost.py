# A booster fitted, saved and loaded again.
import numpy as np
import xgboost as xgb

rng = np.random.default_rng(0)
X = rng.normal(size=(500, 4))
y = (X[:, 0] + X[:, 1] > 0).astype(int)
model = xgb.XGBClassifier(n_estimators=30, max_depth=3, random_state=0).fit(X[:400], y[:400])
assert model.score(X[400:], y[400:]) > 0.9
importance = model.feature_importances_
assert set(np.argsort(importance)[-2:]) == {0, 1}

model.save_model("model.json")
again = xgb.XGBClassifier()
again.load_model("model.json")
assert np.array_equal(again.predict(X), model.predict(X))

booster = xgb.train({"objective": "reg:squarederror", "eta": 0.3}, xgb.DMatrix(X, label=2 * X[:, 2]), 40)
assert np.corrcoef(booster.predict(xgb.DMatrix(X)), X[:, 2])[0, 1] > 0.99
print("stack ok")
