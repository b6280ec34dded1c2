// Where a statement ends, its first word, and named parameters.
#include "datasets/Cells.h"
#include "datasets/SqlText.h"
#include <QJsonArray>
#include <QJsonObject>
#include <QTest>

using namespace power::datasets;

class TestSqlText : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void texts_data()
    {
        QTest::addColumn<QByteArray>("given");
        QTest::addColumn<QByteArray>("sql");
        QTest::addColumn<QByteArray>("first");
        QTest::addColumn<QByteArray>("named");
        const auto row = [](const char *name, const char *given, const char *sql, const char *first, const char *named = "") {
            QTest::newRow(name) << QByteArray(given) << QByteArray(sql) << QByteArray(first) << QByteArray(named);
        };
        row("plain", "select 1", "select 1", "SELECT");
        row("semicolon", "select 1 ; \n", "select 1 ", "SELECT");
        row("comment behind", "select 1; -- done", "select 1", "SELECT");
        row("two", "select 1; select 2;", "select 1; select 2", "SELECT");
        row("in a string", "select ';' ;", "select ';' ", "SELECT");
        row("comment before", "/* a; /* b */ */ -- c\n (with x as (select 1) table x)", "/* a; /* b */ */ -- c\n (with x as (select 1) table x)", "WITH");
        row("named", "select :a::text, ':a', \"x:a\", :b, :a, :c", "select $1::text, ':a', \"x:a\", $2, $1, :c", "SELECT", "a b");
        row("slices and casts", "select x[1:2], y::a, $$ :a ; $$, $t$ :b $t$, e'\\':a'", "select x[1:2], y::a, $$ :a ; $$, $t$ :b $t$, e'\\':a'", "SELECT");
        row("open string", "select 'x ; :a", "select 'x ; :a", "SELECT");
        row("nothing", " -- only this\n ;", " -- only this\n ", "");
    }
    void texts()
    {
        QFETCH(QByteArray, given);
        const SqlText text = readSql(given, {"a", "b"});
        QTEST(text.sql, "sql");
        QTEST(text.firstWord, "first");
        QTEST(text.named.join(' '), "named");
    }

    void cells()
    {
        const auto cell = [](const char *text, const char *type) { return cellOf(QByteArrayView(text), QLatin1String(type)); };
        QCOMPARE(cell("9007199254740992", "bigint"), QJsonValue(9007199254740992ll));
        QCOMPARE(cell("9007199254740993", "bigint"), QJsonValue(QStringLiteral("9007199254740993")));
        QCOMPARE(cell("NaN", "double precision"), QJsonValue(QStringLiteral("NaN")));
        QCOMPARE(cell("-Infinity", "numeric"), QJsonValue(QStringLiteral("-Infinity")));
        QCOMPARE(cell("12.50", "numeric"), QJsonValue(12.5));
        QCOMPARE(cell("1234567890.1234567", "numeric"), QJsonValue(QStringLiteral("1234567890.1234567")));
        QCOMPARE(cell("t", "boolean"), QJsonValue(true));
        QCOMPARE(cell("2026-01-02 03:04:05.5+00", "timestamp with time zone"), QJsonValue(QStringLiteral("2026-01-02T03:04:05.5+00:00")));
        QCOMPARE(cell("2026-01-02 03:04:05", "timestamp without time zone"), QJsonValue(QStringLiteral("2026-01-02T03:04:05")));
        QCOMPARE(cell("infinity", "timestamp without time zone"), QJsonValue(QStringLiteral("infinity")));
        QCOMPARE(cell("{\"a\": [1, null]}", "jsonb").toObject().value(QStringLiteral("a")).toArray().size(), 2);
        QCOMPARE(cell("\\x00ff", "bytea"), QJsonValue(QStringLiteral("\\x00ff")));
    }
};

QTEST_GUILESS_MAIN(TestSqlText)
#include "tst_sql_text.moc"
