// A server in miniature for tst_cluster: starts the cluster of a directory, connects, says so, and waits.
//   cluster-owner <data directory> stop|hold
// Prints one line: "ready pid=<postmaster> adopted=<0|1> ms=<start> rows=<rows of a table it adds one to>" or "failed <why>".
// stop: stops the cluster and exits 0. hold: waits until it is killed.
#include "Await.h"
#include "storage/Database.h"
#include "storage/ManagedCluster.h"
#include "storage/Sql.h"
#include <QCoreApplication>
#include <QElapsedTimer>
#include <cstdio>

using namespace power;
using namespace power::storage;
using namespace std::chrono_literals;

int main(int argc, char **argv)
{
    QCoreApplication app(argc, argv);
    const QStringList args = app.arguments();
    ManagedCluster cluster(args.value(1));
    const auto say = [](const QString &line) {
        std::fprintf(stderr, "%s\n", qPrintable(line));
        std::fflush(stderr);
    };
    QElapsedTimer clock;
    clock.start();
    const auto started = test::await(cluster.start());
    if (!started) {
        say(QStringLiteral("failed ") + started.error().text());
        return 1;
    }
    const qint64 startMs = clock.elapsed();
    Database database(Database::Config{cluster.url(), 1, 1});
    const auto connected = test::await(database.start());
    if (!connected) {
        say(QStringLiteral("failed ") + connected.error().text());
        return 1;
    }
    Job<qint64> job = [](QSqlDatabase &connection) -> Result<qint64> {
        if (const auto made = script(connection, "CREATE TABLE IF NOT EXISTS power.probe (n int); INSERT INTO power.probe VALUES (1)"); !made)
            return Unexpected<Error>{made.error()};
        const auto rows = query(connection, "SELECT count(*) FROM power.probe");
        if (!rows)
            return Unexpected<Error>{rows.error()};
        return rows->number(0, 0);
    };
    const auto rows = test::await(database.run<qint64>(Lane::Short, 10s, job));
    if (!rows) {
        say(QStringLiteral("failed ") + rows.error().text());
        return 1;
    }
    say(QStringLiteral("ready pid=%1 adopted=%2 ms=%3 rows=%4").arg(cluster.postmasterPid()).arg(int(cluster.wasAdopted())).arg(startMs).arg(*rows));
    if (args.value(2) == u"hold")
        return app.exec();
    QCoro::waitFor(database.stop());
    QCoro::waitFor(cluster.stop());
    return 0;
}
