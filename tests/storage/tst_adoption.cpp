// A database of the Python original is taken over without moving a byte.
#include "ClusterFixture.h"
#include "storage/Sql.h"
#include <QFile>
#include <QTest>

using namespace power;
using namespace power::storage;
using namespace std::chrono_literals;

class TestAdoption : public QObject
{
    Q_OBJECT
    test::ClusterFixture m_fixture;

    static Result<Done> run(Database &database, std::function<Result<Done>(QSqlDatabase &)> job)
    {
        return test::await(database.run<Done>(Lane::Bulk, 20s, std::move(job)));
    }

private Q_SLOTS:
    void initTestCase()
    {
        const QString problem = m_fixture.start();
        QVERIFY2(problem.isEmpty(), qPrintable(problem));
    }

    void filesAndDatasetsAreFoundAgain()
    {
        QFile fixture(qEnvironmentVariable("POWER_SOURCE") + QStringLiteral("/tests/storage/original-schema.sql"));
        QVERIFY2(fixture.open(QIODevice::ReadOnly), qPrintable(fixture.fileName()));
        const QByteArray sql = fixture.readAll();
        Database database(Database::Config{m_fixture.url()});
        QVERIFY(test::await(database.start())); // a new database first, the original's tables restored into it later
        const QString id = QStringLiteral("11111111-2222-3333-4444-555555555555");
        const auto nothing = run(database, [id](QSqlDatabase &connection) -> Result<Done> {
            const auto rows = query(connection, "SELECT * FROM original_file($1)", {id});
            return rows && rows->isEmpty() ? Result<Done>(Done{}) : fail(ErrorCode::Internal, QStringLiteral("a file of nowhere"));
        });
        QVERIFY2(nothing, nothing ? "" : qPrintable(nothing.error().text()));
        QVERIFY(run(database, [sql](QSqlDatabase &connection) { return script(connection, "SET LOCAL search_path TO public;" + sql); }));

        for (int start = 0; start < 3; ++start) { // every start does it again
            const auto started = test::await(database.start());
            QVERIFY2(started, started ? "" : qPrintable(started.error().text()));
            const auto checked = run(database, [id](QSqlDatabase &connection) -> Result<Done> {
                const auto file = query(connection, "SELECT session_id, name, mime, size, content, created_at, expires_at, downloads "
                                                    "FROM original_file($1)", {id});
                if (!file)
                    return Unexpected<Error>{file.error()};
                const auto sets = query(connection, "SELECT name, table_schema || '.' || table_name, row_count, columns->0->>'name', origin, "
                                                    "principal FROM datasets");
                if (!sets)
                    return Unexpected<Error>{sets.error()};
                const auto table = query(connection, "SELECT sum(amount) FROM public.data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee");
                const QList<bool> right{
                    file->size() == 1, file->text(0, 0) == u"default", file->text(0, 1) == u"report.bin", file->number(0, 3) == 5,
                    file->bytes(0, 4) == QByteArray("\x00\x01\x7f\x80\xff", 5),
                    file->time(0, 5) == QDateTime::fromString(QStringLiteral("2025-01-02T03:04:05Z"), Qt::ISODate), !file->time(0, 6).isValid(),
                    file->number(0, 7) == 7, sets->size() == 1, sets->text(0, 0) == u"sales",
                    sets->text(0, 1) == u"public.data_aaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee", sets->number(0, 2) == 2,
                    sets->text(0, 3) == u"id", sets->text(0, 4) == u"original", sets->text(0, 5) == u"owner",
                    table && table->real(0, 0) == 6};
                if (const auto wrong = right.indexOf(false); wrong >= 0)
                    return fail(ErrorCode::Internal, QStringLiteral("check %1 failed").arg(wrong));
                return Done{};
            });
            QVERIFY2(checked, checked ? "" : qPrintable(checked.error().text()));
        }
        // Dropped again: the links end with a clean "not found", not with an error of the database.
        QVERIFY(run(database, [](QSqlDatabase &connection) { return script(connection, "DROP TABLE public.sandbox_files"); }));
        QVERIFY(test::await(database.start()));
        QVERIFY(run(database, [id](QSqlDatabase &connection) -> Result<Done> {
            const auto rows = query(connection, "SELECT * FROM original_file($1)", {id});
            return rows ? Result<Done>(Done{}) : Unexpected<Error>{rows.error()};
        }));
        QCoro::waitFor(database.stop());
    }
};

QTEST_GUILESS_MAIN(TestAdoption)
#include "tst_adoption.moc"
