# A classifier, a regression, a clustering, and workers of joblib (threads and processes).
import warnings

import joblib
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

warnings.simplefilter("error")
X, y = load_iris(return_X_y=True)
scores = cross_val_score(make_pipeline(StandardScaler(), SVC()), X, y, cv=5)
assert abs(scores.mean() - 0.9667) < 0.005

forest = RandomForestClassifier(20, n_jobs=2, random_state=0).fit(X, y)
assert forest.score(X, y) > 0.98
assert HistGradientBoostingClassifier(max_iter=5).fit(X, y).score(X, y) > 0.9

a = np.arange(30.0).reshape(-1, 1)
line = LinearRegression().fit(a, 3 * a.ravel() + 7)
assert abs(line.coef_[0] - 3) < 1e-9 and abs(line.intercept_ - 7) < 1e-9

points = np.concatenate([np.random.default_rng(1).normal(c, 0.1, (50, 2)) for c in (0, 5)])
groups = KMeans(2, n_init=3, random_state=0).fit_predict(points)
assert len(set(groups[:50])) == len(set(groups[50:])) == 1 and groups[0] != groups[-1]

squares = joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(i, 2) for i in range(6))
assert squares == [0, 1, 4, 9, 16, 25]
joblib.dump(forest, "forest.joblib")
assert (joblib.load("forest.joblib").predict(X) == forest.predict(X)).all()
print("stack ok")
