// Wheels made for a test: no index and no network.
#pragma once
#include <QFile>
#include <QProcess>
#include <QString>

namespace power::test {

// {name}-{version}-py3-none-any.whl in `directory`: one module with `code`, and what it requires. False: not made.
inline bool makeWheel(const QString &directory, const QString &name, const QString &version, const QString &code, const QString &needs = {})
{
    const QString script = QStringLiteral(
        "import sys, zipfile\n"
        "place, name, version, needs = sys.argv[1:]\n"
        "code = sys.stdin.read()\n"
        "info = f'{name}-{version}.dist-info'\n"
        "files = {f'{name}.py': code, f'{info}/METADATA': f'Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n'\n"
        "         + (f'Requires-Dist: {needs}\\n' if needs else ''),\n"
        "         f'{info}/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'}\n"
        "with zipfile.ZipFile(f'{place}/{name}-{version}-py3-none-any.whl', 'w') as wheel:\n"
        "    for path, text in files.items(): wheel.writestr(path, text)\n"
        "    wheel.writestr(f'{info}/RECORD', ''.join(f'{path},,\\n' for path in [*files, f'{info}/RECORD']))\n");
    QProcess python;
    python.start(QStringLiteral("/usr/bin/python3"), {QStringLiteral("-c"), script, directory, name, version, needs});
    python.write(code.toUtf8()); // may be longer than an argument can be
    python.closeWriteChannel();
    return python.waitForFinished() && python.exitStatus() == QProcess::NormalExit && python.exitCode() == 0;
}

} // namespace power::test
