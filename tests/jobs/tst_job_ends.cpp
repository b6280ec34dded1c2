// Cancelling every kind of loop, and a job that prints without end. Long forms with POWER_TEST_FULL=1.
#include "app/ServerProcess.h"
#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QJsonArray>
#include <QTest>

using namespace power::test;

class TestJobEnds : public QObject
{
    Q_OBJECT
    ServerProcess m_server;
    const bool m_full = qEnvironmentVariableIntValue("POWER_TEST_FULL") == 1;

    QJsonObject rest(const char *method, const QString &path, const QJsonObject &body = {})
    {
        return QJsonDocument::fromJson(m_server.http(method, path, body.isEmpty() ? QByteArray() : QJsonDocument(body).toJson())).object();
    }
    QJsonObject status(const QString &id) { return rest("GET", QStringLiteral("/api/jobs/%1/status").arg(id)); }
    QString submit(const QString &code)
    {
        return rest("POST", QStringLiteral("/api/jobs/submit"), {{QStringLiteral("code"), code}, {QStringLiteral("session_id"), QStringLiteral("ends")}})
            .value(QStringLiteral("job_id")).toString();
    }
    // VmRSS of the server in MB.
    qint64 residentMb() const
    {
        QFile status(QStringLiteral("/proc/%1/status").arg(m_server.pid()));
        if (!status.open(QIODevice::ReadOnly))
            return -1;
        const QByteArray text = status.readAll();
        return text.mid(text.indexOf("VmRSS:") + 6).trimmed().split(' ').first().toLongLong() / 1024;
    }

private Q_SLOTS:
    void initTestCase()
    {
        QVERIFY2(m_server.start({QStringLiteral("--max-memory-mb"), QStringLiteral("2048"), QStringLiteral("--max-run-output-mb"), QStringLiteral("2048"),
                                 QStringLiteral("--max-session-disk-mb"), QStringLiteral("4096")}),
                 m_server.output().constData());
    }
    void cleanupTestCase() { QVERIFY2(m_server.stop(), m_server.output().right(3000).constData()); }

    void cancelWithinThreeSeconds_data()
    {
        QTest::addColumn<QString>("code");
        QTest::newRow("sleep") << "import time\ntime.sleep(100)";
        QTest::newRow("ignores SIGINT") << "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True:\n    try:\n        pass\n    except BaseException:\n        pass";
        QTest::newRow("long C loop") << "sum(range(10 ** 12))";
        if (!m_full)
            return;
        QTest::newRow("busy") << "while True: pass";
        QTest::newRow("except pass") << "while True:\n    try:\n        while True: pass\n    except Exception: pass";
        QTest::newRow("bare except") << "import time\nwhile True:\n    try:\n        time.sleep(10)\n    except: pass";
        QTest::newRow("base exception") << "def f(): pass\nwhile True:\n    try:\n        f()\n    except BaseException: pass";
        QTest::newRow("finally") << "def g():\n    while True:\n        try:\n            yield 1\n        finally:\n            pass\nfor _ in g(): pass";
        QTest::newRow("lock") << "import threading\nl = threading.Lock(); l.acquire(); l.acquire()";
        QTest::newRow("queue") << "import queue\nqueue.Queue().get()";
        QTest::newRow("join") << "import threading, time\nt = threading.Thread(target=time.sleep, args=(100,)); t.start(); t.join()";
        QTest::newRow("asyncio") << "import asyncio\nasync def w():\n    await asyncio.sleep(100)\nawait w()";
        QTest::newRow("pause") << "import ctypes\nctypes.CDLL(None).pause()";
        QTest::newRow("matmul loop") << "import numpy as np\na = np.ones((200, 200))\nwhile True: a @ a";
        QTest::newRow("matmul") << "import numpy as np\na = np.ones((5000, 5000))\nwhile True: a @ a";
        QTest::newRow("sort") << "import numpy as np\na = np.random.rand(50_000_000)\nwhile True: np.sort(a)";
        QTest::newRow("eigh") << "import numpy as np, scipy.linalg\na = np.random.rand(4000, 4000)\nscipy.linalg.eigh(a + a.T)";
        QTest::newRow("groupby") << "import pandas as pd, numpy as np\nd = pd.DataFrame({'a': np.arange(5_000_000) % 1000, 'b': 1.0})\nwhile True: d.groupby('a').b.mean()";
        QTest::newRow("apply") << "import pandas as pd\npd.Series(range(20_000_000)).apply(lambda x: x + 1)";
        QTest::newRow("forest") << "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\nRandomForestClassifier(2000).fit(np.random.rand(50000, 20), np.arange(50000) % 2)";
        QTest::newRow("gradient boosting") << "import numpy as np\nfrom sklearn.ensemble import HistGradientBoostingClassifier\nHistGradientBoostingClassifier(max_iter=10_000).fit(np.random.rand(200_000, 20), np.arange(200_000) % 2)";
        QTest::newRow("regular expression") << "import re\nre.match('(a+)+$', 'a' * 40 + 'b')";
        QTest::newRow("power") << "3 ** (10 ** 9)";
        QTest::newRow("subprocess") << "import subprocess\nsubprocess.run(['sleep', '100'])";
        QTest::newRow("system") << "import os\nos.system('sleep 100')";
        QTest::newRow("detached child") << "import subprocess, time\nsubprocess.Popen(['setsid', 'sleep', '100'])\ntime.sleep(100)";
    }
    void cancelWithinThreeSeconds()
    {
        QFETCH(QString, code);
        const QString id = submit(QStringLiteral("print('go', flush=True)\n") + code);
        QTRY_VERIFY_WITH_TIMEOUT(status(id).value(QStringLiteral("output_tail")).toString().contains(QStringLiteral("go")), 20'000);
        QTest::qWait(m_full ? 700 : 100); // into the loop
        QElapsedTimer clock;
        clock.start();
        const QJsonObject answer = rest("POST", QStringLiteral("/api/jobs/%1/cancel").arg(id));
        const qint64 took = clock.elapsed();
        QCOMPARE(answer.value(QStringLiteral("state")).toString(), QStringLiteral("cancelled"));
        QVERIFY2(took < 3'000, qPrintable(QString::number(took)));
        qInfo("%lld ms", (long long)took);
    }

    // 1 GB in the full form: what it prints goes to the disk; the server holds the ends of it.
    void endlessOutput()
    {
        const int megabytes = m_full ? 1'024 : 96;
        const QString warm = submit(QStringLiteral("print('x' * (8 << 20))"));
        QTRY_COMPARE_WITH_TIMEOUT(status(warm).value(QStringLiteral("state")).toString(), QStringLiteral("succeeded"), 20'000);
        const qint64 before = residentMb();
        const QString id = submit(QStringLiteral("line = 'y' * 127\nfor i in range(%1 * 8): print('\\n'.join([line] * 1024))\nprint('the last line')").arg(megabytes));
        qint64 most = before;
        QElapsedTimer clock;
        clock.start();
        QString state;
        while (clock.elapsed() < 120'000) {
            most = std::max(most, residentMb());
            state = status(id).value(QStringLiteral("state")).toString();
            if (state != u"queued" && state != u"running")
                break;
            QTest::qWait(50);
        }
        QCOMPARE(state, QStringLiteral("succeeded"));
        const QJsonObject record = rest("GET", QStringLiteral("/api/jobs/%1/result").arg(id));
        QVERIFY(record.value(QStringLiteral("output_bytes")).toInteger() >= qint64(megabytes) << 20);
        QVERIFY(record.value(QStringLiteral("stdout")).toString().endsWith(QStringLiteral("the last line\n")));
        // The whole of it is a file of the session.
        const QJsonArray notes = record.value(QStringLiteral("result")).toObject().value(QStringLiteral("notes")).toArray();
        bool whole = false;
        for (const QFileInfo &file : QDir(m_server.dataDirectory() + QStringLiteral("/sandbox/ends")).entryInfoList({QStringLiteral("output_*.txt")}))
            whole = whole || (file.size() >= qint64(megabytes) << 20 && QJsonDocument(notes).toJson().contains(file.fileName().toUtf8()));
        QVERIFY2(whole, QJsonDocument(notes).toJson(QJsonDocument::Compact).constData());
        qInfo("%d MB of output in %lld ms: the server went from %lld to at most %lld MB", megabytes, (long long)clock.elapsed(), (long long)before, (long long)most);
        QVERIFY2(most - before < 48, qPrintable(QStringLiteral("%1 -> %2 MB").arg(before).arg(most)));
    }
};

QTEST_GUILESS_MAIN(TestJobEnds)
#include "tst_job_ends.moc"
