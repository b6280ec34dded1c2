#include "mcp/WorkflowPrompts.h"

namespace power::mcp {

namespace {
// One workflow. In `text`, {name} stands for an argument; a line in which one is empty is left out.
struct Workflow {
    const char *name, *title, *description;
    QList<PromptArgument> arguments;
    QStringList tools; // all must exist
    const char *text;
};

PromptArgument argument(const char *name, const char *description, bool required = false)
{
    const QString word = QLatin1String(name);
    QString title = word;
    title.replace(u'_', u' ');
    title[0] = title[0].toUpper();
    return {word, title, QLatin1String(description), required};
}

const QList<Workflow> &workflows()
{
    static const PromptArgument session = argument("session_id", "Session to work in; default: default.");
    static const QList<Workflow> all{
        {"analyse_file", "Analyse a file", "Look into a file of a session and say what is in it.",
         {argument("filename", "Name of the file in the session.", true), argument("question", "What to find out."), session},
         {QStringLiteral("execute_code")},
         "Analyse the file {filename} in the session {session_id}.\n"
         "The question: {question}\n"
         "Work with execute_code in that session, in small steps:\n"
         "1. Load it (pandas for tables; all sheets of a workbook) and print shape, columns, types, missing values, a few rows.\n"
         "2. Check it before you trust it: duplicates, impossible values, dates and numbers read as text. Say what you changed.\n"
         "3. Work out what matters with grouped figures, and draw at most three charts that carry the message.\n"
         "4. Finish with the findings in plain words, the figures they rest on, and the links to files you made.\n"
         "Print summaries, never whole tables. If the file is not there, list_files shows what is."},
        {"build_report", "Build a report", "Turn a file of a session into a finished report to hand out.",
         {argument("filename", "Name of the file in the session.", true), argument("title", "Title of the report."),
          argument("audience", "Who reads it."), argument("format", "html, xlsx, docx or pdf; default: html."), session},
         {QStringLiteral("execute_code")},
         "Build a report from the file {filename} in the session {session_id}.\n"
         "Title: {title}\n"
         "Readers: {audience}\n"
         "Format: {format}\n"
         "Work with execute_code in that session:\n"
         "1. Load and check the data; note every correction.\n"
         "2. Decide on the three to five statements the readers need, and compute the figures for each.\n"
         "3. Write the report as one file: summary first, then each statement with a table or chart, then the method and its "
         "limits. Charts have titles, units and sources.\n"
         "4. Open the file again and check it (opens, no empty sections, figures agree with the data).\n"
         "5. Answer with the summary and the download link exactly as it was returned."},
        {"query_data", "Query a dataset", "Answer a question about a dataset with SQL.",
         {argument("question", "The question in plain words.", true), argument("dataset", "Name of the dataset or DataFrame."), session},
         {QStringLiteral("query_dataset")},
         "Answer this question with SQL: {question}\n"
         "Dataset: {dataset}\n"
         "Session: {session_id}\n"
         "1. list_datasets shows datasets, DataFrames and their columns; look at some rows (SELECT * ... LIMIT 5) before you write the query.\n"
         "2. Use query_dataset; aggregate in SQL instead of fetching rows. Datasets alone: PostgreSQL's SQL; with DataFrames: DuckDB's.\n"
         "3. Check the result with a second query that reaches the total another way.\n"
         "4. Answer in one sentence, then the table, then the SQL."},
        {"bring_from_sharepoint", "Bring a file from SharePoint", "Find a file in SharePoint and load it into a session.",
         {argument("file", "Name of the file, or words it contains.", true), argument("site", "Name of the site."), session},
         {QStringLiteral("sharepoint_search"), QStringLiteral("sharepoint_download_file")},
         "Bring a file from SharePoint into the session {session_id}: {file}\n"
         "Site: {site}\n"
         "1. ms_auth_status; if nobody is signed in, ms_auth_start, show the link and the code, wait, then ms_auth_poll.\n"
         "2. Find the site with sharepoint_list_sites, then the file with sharepoint_search. Ask when several fit.\n"
         "3. Load it with sharepoint_download_file into the session.\n"
         "4. Open it with execute_code and say what it is: size, sheets or columns, number of rows, date of last change."},
    };
    return all;
}

QString filled(const Workflow &workflow, const QJsonObject &arguments)
{
    QStringList lines;
    for (QString line : QString::fromLatin1(workflow.text).split(u'\n')) {
        bool whole = true;
        // From the end, so that what users typed is never taken for a place.
        for (qsizetype close = line.lastIndexOf(u'}'); close >= 0;) {
            const qsizetype open = line.lastIndexOf(u'{', close);
            const QString name = line.mid(open + 1, close - open - 1);
            QString value = arguments.value(name).toString().simplified();
            if (value.isEmpty() && name == u"session_id")
                value = QStringLiteral("default");
            if (value.isEmpty() && name == u"format")
                value = QStringLiteral("html");
            whole = whole && !value.isEmpty();
            line.replace(open, close - open + 1, value);
            close = open > 0 ? line.lastIndexOf(u'}', open - 1) : -1;
        }
        if (whole)
            lines << line;
    }
    return lines.join(u'\n');
}
} // namespace

QList<Prompt> WorkflowPrompts::list(const operations::Caller &caller) const
{
    QList<Prompt> prompts;
    for (const Workflow &workflow : workflows()) {
        const bool possible = std::all_of(workflow.tools.cbegin(), workflow.tools.cend(), [&](const QString &tool) {
            const operations::Operation *operation = m_registry.find(tool);
            return operation && (caller.scopes.isEmpty() || caller.scopes.contains(operation->scope))
                && (!caller.readOnly || operation->hints.readOnly);
        });
        if (possible)
            prompts << Prompt{QLatin1String(workflow.name), QLatin1String(workflow.title), QLatin1String(workflow.description),
                              workflow.arguments, {}};
    }
    return prompts;
}

QCoro::Task<Result<PromptText>> WorkflowPrompts::get(operations::Caller, QString name, QJsonObject arguments)
{
    for (const Workflow &workflow : workflows()) {
        if (name != QLatin1String(workflow.name))
            continue;
        PromptText text;
        text.description = QLatin1String(workflow.description);
        operations::Block block;
        block.text = filled(workflow, arguments);
        text.messages << PromptMessage{false, block};
        co_return text;
    }
    co_return fail(ErrorCode::NotFound, QStringLiteral("There is no prompt named \"%1\".").arg(name.left(80)));
}

} // namespace power::mcp
