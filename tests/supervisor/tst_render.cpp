// Charts drawn by browser workers for real kernels: formats and sizes in each tier, hostile figures, limits.
#include "HostRig.h"
#include <QElapsedTimer>
#include <QImage>
#include <QTcpServer>

using namespace rig;

namespace {
const QByteArray kFigure = "import plotly.graph_objects as go\n"
                           "f = go.Figure(go.Bar(x=['a', 'b'], y=[1, 3]), layout={'title': 'Bars 日本', 'width': 640, 'height': 360})\n";
}

class TestRender : public QObject
{
    Q_OBJECT
    Rig m_rig;
    std::unique_ptr<Kernel> m_kernel;
    KernelSpec m_spec;

    bool open(const QString &tier)
    {
        m_kernel.reset();
        m_rig.stop();
        HostConfig made = config(m_rig.directory.path());
        made.forcedTier = made.requiredTier = tier;
        if (!m_rig.start(std::move(made)))
            return false;
        m_spec = m_rig.spec();
        m_kernel = m_rig.spawn(m_spec);
        return m_kernel != nullptr;
    }
    QByteArray file(const char *name) const
    {
        QFile opened(m_spec.workspace + u'/' + QLatin1String(name));
        return opened.open(QIODevice::ReadOnly) ? opened.readAll() : QByteArray();
    }
    static qsizetype directories(const QString &path) { return QDir(path).entryList(QDir::AllEntries | QDir::NoDotAndDotDot).size(); }

private Q_SLOTS:
    void cleanupTestCase()
    {
        m_kernel.reset();
        m_rig.stop();
    }

    void formats_data()
    {
        QTest::addColumn<QString>("tier");
        QTest::newRow("full") << QStringLiteral("full");
        QTest::newRow("container") << QStringLiteral("container");
    }
    void formats()
    {
        QFETCH(QString, tier);
        QVERIFY(open(tier));
        QElapsedTimer clock;
        clock.start();
        RunOutcome outcome = run(*m_kernel, kFigure + "f.show()", 120s);
        QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
        qInfo("%s: first chart, imports included: %lld ms", qPrintable(tier), clock.restart());
        QCOMPARE(outcome.outputs.size(), 1);
        const OutputEvent shown = outcome.outputs.first();
        QCOMPARE(shown.fileName, QStringLiteral("chart_001.html"));
        QVERIFY2(shown.parts.size() == 1 && shown.parts.first().mime == "image/png", describe(outcome));
        QCOMPARE(QImage::fromData(shown.parts.first().data).size(), QSize(640, 360));

        for (const char *name : {"a.png", "b.jpg", "c.webp", "d.svg", "e.pdf"}) {
            clock.restart();
            outcome = run(*m_kernel, "f.write_image('" + QByteArray(name) + "', scale=2)", 120s);
            QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
            qInfo("%s %s: %lld ms, %lld bytes", qPrintable(tier), name, clock.elapsed(), qint64(file(name).size()));
        }
        QCOMPARE(QImage::fromData(file("a.png")).size(), QSize(1280, 720));
        QCOMPARE(QImage::fromData(file("b.jpg")).size(), QSize(1280, 720));
        QVERIFY(file("c.webp").startsWith("RIFF") && file("c.webp").mid(8, 4) == "WEBP");
        QVERIFY(file("d.svg").startsWith("<svg") && file("d.svg").contains("Bars 日本") && file("d.svg").contains("width=\"640\""));
        QVERIFY(file("e.pdf").startsWith("%PDF-"));
        // One page of 640 x 360 pixels of 1/96 inch: 480 x 270 points, and a rounding.
        QCOMPARE(file("e.pdf").count("/Type /Page\n") + file("e.pdf").count("/Type /Page "), 1);

        // WebGL: what plotly draws many points and 3D with. Not only a frame: colours of the marks.
        outcome = run(*m_kernel,
                      "f = go.Figure(go.Scattergl(x=[1, 2, 3], y=[1, 3, 2], mode='markers', marker={'size': 60, 'color': 'rgb(255,0,0)'}))\n"
                      "f.write_image('gl.png')",
                      120s);
        QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
        const QImage drawn = QImage::fromData(file("gl.png"));
        QCOMPARE(drawn.size(), QSize(700, 500));
        int red = 0;
        for (int y = 0; y < drawn.height(); ++y) {
            for (int x = 0; x < drawn.width(); ++x)
                red += drawn.pixelColor(x, y) == QColor(255, 0, 0) ? 1 : 0;
        }
        QVERIFY2(red > 3000, QByteArray::number(red));
    }

    void hostileFigures()
    {
        QVERIFY(open({}));
        QTcpServer network;
        QVERIFY(network.listen(QHostAddress::LocalHost));
        const QByteArray port = QByteArray::number(network.serverPort());
        const KernelSpec other = m_rig.spec();
        QFile secret(other.workspace + QStringLiteral("/secret.png"));
        QVERIFY(secret.open(QIODevice::WriteOnly));
        QImage red(64, 64, QImage::Format_RGB32);
        red.fill(QColor(255, 0, 0));
        QVERIFY(red.save(&secret, "PNG"));
        secret.close();
        QVERIFY(QFile::setPermissions(secret.fileName(), QFile::Permissions(0x4444)));
        const QByteArray path = secret.fileName().toLocal8Bit();
        const RunOutcome outcome = run(
            *m_kernel,
            kFigure + "f.update_layout(title='<script>document.title=1</script><img src=\"http://127.0.0.1:" + port
                + "/\" onerror=\"fetch(1)\">', annotations=[dict(text='</script><script>while(1);</script><a href=\"javascript:while(1);\">x</a>')])\n"
                  "for url in ('file://" + path + "', 'http://127.0.0.1:" + port + "/x.png'):\n"
                  "    f.add_layout_image(source=url, x=0, y=1, sizex=1, sizey=1, xref='paper', yref='paper', sizing='stretch', layer='above')\n"
                  "try: f.write_image('h.png')\n"
                  "except RuntimeError as e: print('refused', e)\n"
                  "f.layout.images = []\nf.write_image('i.png')",
            120s);
        QVERIFY2(outcome.status == RunStatus::Ok, describe(outcome));
        QCOMPARE(QImage::fromData(file("i.png")).size(), QSize(640, 360));
        const QImage drawn = QImage::fromData(file("h.png"));
        for (int y = 0; y < drawn.height(); ++y) {
            for (int x = 0; x < drawn.width(); ++x)
                QVERIFY(drawn.pixelColor(x, y) != QColor(255, 0, 0));
        }
        QVERIFY(!network.waitForNewConnection(0));
    }

    void limits()
    {
        QVERIFY(open({}));
        run(*m_kernel, kFigure);
        // Too large, no figure at all, and no format.
        for (const char *code : {"f.write_image('x.png', width=100000)", "f.write_image('x.png', width=9000, height=9000)"}) {
            const RunOutcome refused = run(*m_kernel, code, 120s);
            QVERIFY2(refused.errorName == u"Refused" && refused.errorValue.contains(QLatin1String("too large")), describe(refused));
        }
        // A run that is interrupted while it waits: the session lives, and the worker goes.
        const RunOutcome outcome = run(*m_kernel, "x = 5\nfor i in range(99): f.write_image('y.png')", 4s);
        QVERIFY2(outcome.cause == u"timeout" && outcome.variablesSurvived, describe(outcome));
        QCOMPARE(story(run(*m_kernel, "x")), QByteArray("d:5"));

        // A flood without waiting for answers ends this kernel and no other.
        auto witness = m_rig.spawn();
        const RunOutcome flood = run(*m_kernel,
                                     "import _power, json\nfrom power_kernel import display\nn = 0\n"
                                     "while True:\n    n += 1\n"
                                     "    _power.send(19, json.dumps({'run': display.Current.run, 'ask': n, 'what': 'render', 'format': 'png'}).encode(), b'{}')\n",
                                     60s);
        QVERIFY2(flood.cause == u"protocol", describe(flood));
        QCOMPARE(story(run(*witness, "6*7")), QByteArray("d:42"));
        const RunOutcome drawn = run(*witness, kFigure + "len(f.to_image()) > 1000", 120s);
        QVERIFY2(story(drawn) == "d:True", describe(drawn));
    }

    void nothingIsLeft()
    {
        m_kernel.reset();
        m_rig.stop();
        QTRY_COMPARE_WITH_TIMEOUT(directories(m_rig.directory.filePath(QStringLiteral("render"))), 0, 8000);
    }
};

QTEST_GUILESS_MAIN(TestRender)
#include "tst_render.moc"
