// Datasets on a real PostgreSQL with the real worker: every format, exact values, replacing, removing, copying out, size.
#include "Rig.h"
#include <QElapsedTimer>
#include <QJsonObject>
#include <QProcess>
#include <QRegularExpression>
#include <fcntl.h>
#include <signal.h>

using namespace power;
using namespace power::datasets;
using namespace std::chrono_literals;

namespace {
qint64 residentBytes(const char *field)
{
    QFile status(QStringLiteral("/proc/self/status"));
    if (!status.open(QIODevice::ReadOnly))
        return 0;
    const QRegularExpressionMatch match = QRegularExpression(QLatin1String(field) + QStringLiteral(":\\s+(\\d+)")).match(QString::fromLatin1(status.readAll()));
    return match.captured(1).toLongLong() << 10;
}
} // namespace

class TestDatasets : public QObject
{
    Q_OBJECT
    datasets::test::Rig m_rig;
    QTemporaryDir m_files;

    static QByteArray typesOf(const Stored &stored)
    {
        QStringList types;
        for (const Column &column : stored.dataset.columns)
            types << column.name + u' ' + column.type + (column.nullable ? QString() : QStringLiteral("!"));
        return types.join(QStringLiteral(", ")).toUtf8();
    }
    QStringList names()
    {
        QStringList all;
        const auto listed = datasets::test::await(m_rig.service->list(QStringLiteral("owner")));
        for (const Dataset &each : listed ? *listed : QList<Dataset>())
            all << each.name;
        return all;
    }
    int tables() { return int(m_rig.database.number("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'power_data' AND relkind = 'r'")); }

private Q_SLOTS:
    void initTestCase()
    {
        const QString problem = m_rig.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
        const QString python = qEnvironmentVariable("POWER_PYTHON_ENV");
        QProcess maker;
        maker.start(python.isEmpty() ? QStringLiteral("python3") : python + QStringLiteral("/bin/python3"),
                    {qEnvironmentVariable("POWER_SOURCE") + QStringLiteral("/tests/datasets/make_files.py"), m_files.path()});
        QVERIFY(maker.waitForFinished(120'000));
        QVERIFY2(maker.exitCode() == 0, maker.readAllStandardError().right(2000).constData());
    }
    void cleanupTestCase() { m_rig.stop(); }

    void formats_data()
    {
        QTest::addColumn<QString>("ending");
        for (const char *ending : {"csv", "tsv", "txt", "parquet", "xlsx", "json", "jsonl", "pdf"})
            QTest::newRow(ending) << QString::fromLatin1(ending);
    }
    void formats()
    {
        QFETCH(QString, ending);
        QFile file(m_files.filePath(QStringLiteral("table.") + ending));
        QVERIFY(file.open(QIODevice::ReadOnly));
        const auto stored = datasets::test::await(m_rig.service->store(datasets::test::Rig::order(QStringLiteral("f_") + ending, file.handle(), file.fileName().section(u'/', -1))));
        QVERIFY2(stored, stored ? "" : qPrintable(stored.error().text()));
        QCOMPARE(stored->dataset.rows, 3);
        const QString who = ending == u"pdf" ? QStringLiteral("count(DISTINCT who)") : QStringLiteral("max(who) FILTER (WHERE id = 2)");
        const QByteArray expected = ending == u"pdf" ? "[[6,3.75,2,\"2024-01-02\",\"003\",3]]" : "[[6,3.75,2,\"2024-01-02\",\"003\",\"b \\\"x\\\", y\\nz\"]]";
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT sum(id), sum(amount), count(amount), (min(day) FILTER (WHERE id = 2))::date, max(code), %2 FROM f_%1").arg(ending, who)),
                 expected);
    }

    void typesAreExact()
    {
        const auto stored = m_rig.store(QStringLiteral("exact"),
                                        "a,b,c,d,e,f,big,when,empty,\n"
                                        "1,1.5,00123,true,2024-01-02,x,9223372036854775808,2024-01-02 03:04:05,,\n"
                                        ",2,00124,false,,\"\",1,2024-01-02 03:04:05.5,,\n"
                                        "9007199254740993,,00125,,2024-02-29,y,2,,,\n");
        QVERIFY2(stored, stored ? "" : qPrintable(stored.error().text()));
        QCOMPARE(typesOf(*stored), QByteArray("a bigint, b double precision, c text!, d boolean, e date, f text, big numeric!, when timestamp without time zone, "
                                              "empty text, column_10 text"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a, b, c, d, e, big, \"when\" FROM exact ORDER BY c")),
                 QByteArray("[[1,1.5,\"00123\",true,\"2024-01-02\",\"9223372036854775808\",\"2024-01-02T03:04:05\"],"
                            "[null,2,\"00124\",false,null,1,\"2024-01-02T03:04:05.5\"],[\"9007199254740993\",null,\"00125\",null,\"2024-02-29\",2,null]]"));
        QVERIFY2(stored->notes.join(u' ').contains(u"column_10"), qPrintable(stored->notes.join(u' ')));
        QCOMPARE(stored->preview.size(), 3);
    }

    // A type is that of all rows: a text in the last of 120,000 makes the column text.
    void typesAreOfTheWholeFile()
    {
        QByteArray csv = "n,m\n";
        for (int i = 0; i < 120'000; ++i)
            csv += QByteArray::number(i) + ',' + QByteArray::number(i) + '\n';
        csv += "last,7\n";
        const auto stored = m_rig.store(QStringLiteral("whole"), csv);
        QVERIFY2(stored, stored ? "" : qPrintable(stored.error().text()));
        QCOMPARE(typesOf(*stored), QByteArray("n text!, m bigint!"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT count(*), max(n), sum(m) FROM whole")), QByteArray("[[120001,\"last\",7199940007]]"));
    }

    void refusals_data()
    {
        QTest::addColumn<QString>("name");
        QTest::addColumn<QByteArray>("content");
        QTest::addColumn<QString>("word");
        QByteArray wide;
        for (int i = 0; i < 2000; ++i)
            wide += (i ? ",c" : "c") + QByteArray::number(i);
        QTest::newRow("nothing in it") << QStringLiteral("bad") << QByteArray() << QStringLiteral("empty");
        QTest::newRow("no name") << QString() << QByteArray("a\n1\n") << QStringLiteral("name");
        QTest::newRow("long name") << QString(64, u'x') << QByteArray("a\n1\n") << QStringLiteral("63 bytes");
        QTest::newRow("our own name") << QStringLiteral("data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee") << QByteArray("a\n1\n") << QStringLiteral("server's own");
        QTest::newRow("too wide") << QStringLiteral("bad") << wide + "\n1\n" << QStringLiteral("1600");
        QTest::newRow("a program") << QStringLiteral("bad") << QByteArray("\x7f" "ELF\x02\x01\x01\x00\x00\x00\x00\x00", 12) << QStringLiteral("no table file");
    }
    void refusals()
    {
        QFETCH(QString, name);
        QFETCH(QByteArray, content);
        QFETCH(QString, word);
        const int before = tables();
        const auto stored = m_rig.store(name, content);
        QVERIFY(!stored);
        QCOMPARE(stored.error().code, ErrorCode::InvalidArgument);
        QVERIFY2(stored.error().text().contains(word), qPrintable(stored.error().text()));
        QCOMPARE(tables(), before);
        QVERIFY(!names().contains(QStringLiteral("bad")));
    }

    // No worker can be had: told at once, and nothing waits for rows that never come.
    void noWorker()
    {
        supervisor::HostConfig without = rig::config(m_files.path());
        without.renderDirectory.clear();
        rig::Rig other;
        QVERIFY(other.start(without));
        DatasetService service({}, *m_rig.database, *other.host);
        const int file = datasets::test::Rig::memory("a\n1\n");
        QElapsedTimer clock;
        clock.start();
        const auto stored = datasets::test::await(service.store(datasets::test::Rig::order(QStringLiteral("bad"), file, QStringLiteral("a.csv"))));
        ::close(file);
        QVERIFY(!stored);
        QCOMPARE(stored.error().code, ErrorCode::Unavailable);
        QVERIFY2(stored.error().text().contains(u"no tables"), qPrintable(stored.error().text()));
        QVERIFY(clock.elapsed() < 10'000);
        other.stop();
    }

    // The disk's reserve is not for datasets.
    void fullDisk()
    {
        DatasetService::Config config;
        config.disk = m_files.path();
        config.diskReserve = 1ll << 60;
        DatasetService full(config, *m_rig.database, *m_rig.kernels.host);
        const int file = datasets::test::Rig::memory("a\n1\n");
        const auto stored = datasets::test::await(full.store(datasets::test::Rig::order(QStringLiteral("bad"), file, QStringLiteral("a.csv"))));
        ::close(file);
        QVERIFY(!stored);
        QCOMPARE(stored.error().code, ErrorCode::TooLarge);
        QVERIFY2(stored.error().text().contains(u"MB left"), qPrintable(stored.error().text()));
    }

    void indexesAreThere()
    {
        const auto stored = m_rig.store(QStringLiteral("indexed"), "id,customer_id,order_date,paid,note\n1,2,2024-01-01,2024-01-02,x\n");
        QVERIFY(stored);
        QCOMPARE(m_rig.database.number("SELECT count(*) FROM pg_indexes WHERE tablename = $1", {stored->dataset.table}), 4);
    }

    // The name of the table too; and names with capitals as SQL writes them, with quotes or without.
    void namesInSql()
    {
        const auto stored = m_rig.store(QStringLiteral("Big Sales"), "a\n1\n");
        QVERIFY(stored && m_rig.store(QStringLiteral("Invoices"), "a\n5\n"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a FROM \"Big Sales\"")), QByteArray("[[1]]"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a FROM ") + stored->dataset.table), QByteArray("[[1]]"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a FROM Invoices")), QByteArray("[[5]]"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a FROM \"Invoices\"")), QByteArray("[[5]]"));
        QVERIFY(m_rig.store(QStringLiteral("invoices"), "a\n6\n"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a FROM Invoices")), QByteArray("[[6]]"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a FROM \"Invoices\"")), QByteArray("[[5]]"));
        QVERIFY(datasets::test::await(m_rig.service->remove(QStringLiteral("owner"), QStringLiteral("invoices"))));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT a FROM Invoices")), QByteArray("[[5]]"));
        QVERIFY(m_rig.rows(QStringLiteral("SELECT 1 FROM nowhere")).contains("Datasets: "));
    }

    void replacingAndRemoving()
    {
        const auto first = m_rig.store(QStringLiteral("changing"), "a\n1\n");
        const int before = tables();
        const auto second = m_rig.store(QStringLiteral("changing"), "b,c\nx,2\ny,3\n");
        QVERIFY(first && !first->replaced && second && second->replaced);
        QCOMPARE(tables(), before);
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT b, c FROM changing ORDER BY b")), QByteArray("[[\"x\",2],[\"y\",3]]"));
        // What cannot be read leaves the one before.
        QVERIFY(!m_rig.store(QStringLiteral("changing"), ""));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT count(*) FROM changing")), QByteArray("[[2]]"));
        const auto removed = datasets::test::await(m_rig.service->remove(QStringLiteral("owner"), QStringLiteral("changing")));
        QVERIFY(removed && removed->table == second->dataset.table);
        QCOMPARE(tables(), before - 1);
        const auto again = datasets::test::await(m_rig.service->remove(QStringLiteral("owner"), QStringLiteral("changing")));
        QVERIFY(!again && again.error().code == ErrorCode::NotFound);
        QVERIFY2(again.error().text().contains(u"exact"), qPrintable(again.error().text()));
    }

    void severalAtOnce()
    {
        std::vector<QCoro::Task<Result<Stored>>> storing;
        QList<int> open;
        for (int i = 0; i < 6; ++i) { // three versions of two names
            open << datasets::test::Rig::memory("v\n" + QByteArray::number(i) + '\n');
            storing.push_back(m_rig.service->store(datasets::test::Rig::order(QStringLiteral("at_once_%1").arg(i % 2), open.last(), QStringLiteral("v.csv"))));
        }
        for (auto &each : storing) {
            const auto stored = datasets::test::await(std::move(each));
            QVERIFY2(stored, stored ? "" : qPrintable(stored.error().text()));
        }
        for (const int file : open)
            ::close(file);
        QCOMPARE(names().filter(QStringLiteral("at_once")).size(), 2);
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT count(*) FROM at_once_0")), QByteArray("[[1]]"));
    }

    void parametersAndPages()
    {
        QVERIFY(m_rig.store(QStringLiteral("people"), "id,name\n1,ann\n2,o'hara\n3,\n"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT id FROM people WHERE name = :who -- :x\n;"), QJsonObject{{QStringLiteral("who"), QStringLiteral("o'hara")}}), QByteArray("[[2]]"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT id FROM people WHERE id > $1 AND id < $2"), QJsonArray{1, 3}), QByteArray("[[2]]"));
        const auto page = m_rig.query(QStringLiteral("SELECT id, id FROM people ORDER BY id"), {}, 1, 1);
        QVERIFY(page && page->hasMore && page->rows == QJsonArray({QJsonArray{2, 2}}));
        QCOMPARE(page->columns, QStringList({QStringLiteral("id"), QStringLiteral("id")}));
        QCOMPARE(m_rig.rows(QStringLiteral("WITH x AS (SELECT 1 AS a) SELECT a, 'NaN'::float8, '\\xff'::bytea, ARRAY[1,2], '{\"k\":1}'::jsonb FROM x")),
                 QByteArray("[[1,\"NaN\",\"\\\\xff\",\"{1,2}\",{\"k\":1}]]"));
        QVERIFY(m_rig.rows(QStringLiteral("EXPLAIN SELECT * FROM people")).contains("Scan"));
        const auto wrong = m_rig.query(QStringLiteral("SELECT id\nFROM people WHERE nam = 1"));
        QVERIFY(!wrong);
        QVERIFY2(wrong.error().text().contains(u"line 2") && wrong.error().text().contains(u"people.name"), qPrintable(wrong.error().text()));
    }

    void copiesOut()
    {
        QVERIFY(m_rig.store(QStringLiteral("copied"), "id,text,n\n1,\"a,b\",\n2,\"\",3\n"));
        const int file = datasets::test::Rig::memory({});
        CopyOrder order;
        order.principal = QStringLiteral("owner");
        order.name = QStringLiteral("copied");
        order.columns = QStringList{QStringLiteral("text"), QStringLiteral("id")};
        order.to = file;
        const auto copied = datasets::test::await(m_rig.service->copyOut(order));
        QVERIFY2(copied, copied ? "" : qPrintable(copied.error().text()));
        QByteArray text(qsizetype(copied->bytes), '\0');
        QCOMPARE(::pread(file, text.data(), size_t(text.size()), 0), text.size());
        QCOMPARE(text, QByteArray("id,text\n1,\"a,b\"\n2,\n"));
        QCOMPARE(copied->rows, 2);
        order.mostBytes = 3;
        const auto little = datasets::test::await(m_rig.service->copyOut(order));
        QVERIFY(!little && little.error().code == ErrorCode::TooLarge);
        order.columns = QStringList{QStringLiteral("no such")};
        QVERIFY(!datasets::test::await(m_rig.service->copyOut(order)));
        ::close(file);
    }

    // Large: exact, with flat memory. POWER_TEST_FULL: 1.5 million rows.
    void manyRows()
    {
        const int count = qEnvironmentVariableIsSet("POWER_TEST_FULL") ? 1'500'000 : 150'000;
        QFile csv(m_files.filePath(QStringLiteral("many.csv")));
        QVERIFY(csv.open(QIODevice::ReadWrite));
        qint64 cents = 0, quantities = 0;
        QByteArray lines = "id,customer_id,order_date,amount,quantity,region,code,note\n";
        for (int i = 0; i < count; ++i) {
            const int amount = int(qint64(i) * 7919 % 1'000'003);
            cents += amount;
            quantities += i % 97 ? i % 50 : 0;
            lines += QByteArray::number(i) + ',' + QByteArray::number(i * 31 % 100'000) + ",2024-" + QByteArray::number(1 + i % 12) .rightJustified(2, '0') + '-'
                     + QByteArray::number(1 + i % 28).rightJustified(2, '0') + ',' + QByteArray::number(amount / 100) + '.'
                     + QByteArray::number(amount % 100).rightJustified(2, '0') + ',' + (i % 97 ? QByteArray::number(i % 50) : QByteArray()) + ",north,"
                     + QByteArray::number(i % 1000).rightJustified(5, '0') + ",\"note " + QByteArray::number(i) + ", \"\"x\"\"\"\n";
            if (lines.size() > 1 << 20) {
                csv.write(lines);
                lines.clear();
            }
        }
        csv.write(lines);
        csv.flush();
        const qint64 before = residentBytes("VmRSS");
        qint64 most = 0, told = 0;
        StoreOrder order = datasets::test::Rig::order(QStringLiteral("many"), csv.handle(), QStringLiteral("many.csv"));
        order.progress = [&told](qint64 rows, const QString &) { told = std::max(told, rows); };
        QTimer sampling;
        QObject::connect(&sampling, &QTimer::timeout, &sampling, [&most] { most = std::max(most, residentBytes("VmRSS")); });
        sampling.start(20);
        QElapsedTimer clock;
        clock.start();
        const auto stored = datasets::test::await(m_rig.service->store(std::move(order)));
        const qint64 took = clock.elapsed();
        QVERIFY2(stored, stored ? "" : qPrintable(stored.error().text()));
        qInfo("%d rows, %lld MB of CSV: %lld ms, server's memory +%lld MB, table %lld MB", count, csv.size() >> 20, took, (most - before) >> 20,
              stored->dataset.sizeBytes >> 20);
        QCOMPARE(stored->dataset.rows, count);
        QVERIFY2(most - before < 48ll << 20, qPrintable(QString::number((most - before) >> 20)));
        QVERIFY(count < 1'000'000 || told > 0);
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT count(*), round(sum(amount * 100)), sum(quantity), count(quantity), max(code), count(DISTINCT note) FROM many")),
                 "[[" + QByteArray::number(count) + ',' + QByteArray::number(cents) + ',' + QByteArray::number(quantities) + ',' + QByteArray::number(count - (count + 96) / 97)
                     + ",\"00999\"," + QByteArray::number(count) + "]]");
    }

    // Given up in the middle, and a server that dies there: nothing is left of it.
    void cancelledInTheMiddle()
    {
        const int before = tables();
        QFile csv(m_files.filePath(QStringLiteral("many.csv")));
        QVERIFY(csv.open(QIODevice::ReadOnly));
        CancelSource source;
        StoreOrder order = datasets::test::Rig::order(QStringLiteral("given_up"), csv.handle(), QStringLiteral("many.csv"));
        order.cancel = source.token();
        order.progress = [&source](qint64 rows, const QString &) {
            if (rows > 0)
                source.cancel();
        };
        QTimer::singleShot(1500, this, [&source] { source.cancel(); });
        const auto stored = datasets::test::await(m_rig.service->store(std::move(order)));
        QVERIFY(!stored);
        QCOMPARE(stored.error().code, ErrorCode::Cancelled);
        QTRY_COMPARE_WITH_TIMEOUT(tables(), before, 10'000);
        QVERIFY(!names().contains(QStringLiteral("given_up")));
        QVERIFY(m_rig.store(QStringLiteral("afterwards"), "a\n1\n"));
    }

    void postgresDiesInTheMiddle()
    {
        const int before = tables();
        QFile csv(m_files.filePath(QStringLiteral("many.csv")));
        QVERIFY(csv.open(QIODevice::ReadOnly));
        QTimer::singleShot(1200, this, [this] { ::kill(pid_t(m_rig.database.cluster().cluster().postmasterPid()), SIGKILL); });
        const auto stored = datasets::test::await(m_rig.service->store(datasets::test::Rig::order(QStringLiteral("lost"), csv.handle(), QStringLiteral("many.csv"))));
        QTRY_VERIFY_WITH_TIMEOUT(m_rig.database.number("SELECT 1") == 1, 30'000);
        QCOMPARE(names().contains(QStringLiteral("lost")), bool(stored));
        QCOMPARE(tables(), before + (stored ? 1 : 0));
        QTRY_COMPARE_WITH_TIMEOUT(m_rig.rows(QStringLiteral("SELECT count(*) FROM people")), QByteArray("[[3]]"), 15'000);
        QVERIFY(m_rig.store(QStringLiteral("afterwards"), "a\n2\n"));
    }

    // A second server on the same database: both see the same, and the reading role works for both.
    void twoServers()
    {
        const auto second = m_rig.make();
        QVERIFY(datasets::test::await(second->start()));
        QVERIFY(m_rig.store(QStringLiteral("shared"), "a\n41\n"));
        QueryOrder order;
        order.principal = QStringLiteral("owner");
        order.sql = QStringLiteral("SELECT a + 1 FROM shared");
        const auto seen = datasets::test::await(second->query(order));
        QVERIFY2(seen, seen ? "" : qPrintable(seen.error().text()));
        QCOMPARE(seen->rows, QJsonArray({QJsonArray{42}}));
        QVERIFY(datasets::test::await(second->remove(QStringLiteral("owner"), QStringLiteral("shared"))));
        QVERIFY(!names().contains(QStringLiteral("shared")));
    }

    // Tables of the Python server of old are queried where they are, by name and by table name; two of one name are both there.
    void adopted()
    {
        QFile fixture(qEnvironmentVariable("POWER_SOURCE") + QStringLiteral("/tests/storage/original-schema.sql"));
        QVERIFY(fixture.open(QIODevice::ReadOnly));
        const QByteArray sql = "SET LOCAL search_path TO public;" + fixture.readAll()
                               + "CREATE TABLE public.data_twin (id int); INSERT INTO public.data_twin VALUES (7);"
                                 "INSERT INTO public.datasets (id, name, table_name) VALUES ('bbbbbbbb-bbbb-cccc-dddd-eeeeeeeeeeee', 'sales', 'data_twin');";
        QVERIFY(m_rig.database.ask<Done>([sql](QSqlDatabase &connection) { return storage::script(connection, sql); }));
        QVERIFY(storage::test::await(m_rig.database->start()));
        QVERIFY(datasets::test::await(m_rig.service->start()));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT sum(amount) FROM sales")), QByteArray("[[6]]"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT sum(amount) FROM data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee")), QByteArray("[[6]]"));
        QCOMPARE(m_rig.rows(QStringLiteral("SELECT id FROM sales_bbbbbbbb")), QByteArray("[[7]]"));
        const auto found = datasets::test::await(m_rig.service->find(QStringLiteral("owner"), QStringLiteral("sales")));
        QVERIFY(found && found->columns.size() == 2 && found->columns[1].type == u"numeric");
        QVERIFY(datasets::test::await(m_rig.service->remove(QStringLiteral("owner"), QStringLiteral("sales"))));
        QCOMPARE(m_rig.database.number("SELECT count(*) FROM pg_class WHERE relname = 'data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee'"), 0);
    }
};

QTEST_GUILESS_MAIN(TestDatasets)
#include "tst_datasets.moc"
