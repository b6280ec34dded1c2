// The log of a run: output in order, the error apart, charts, files, and how it went.
const view = {
  input(args) {
    if (typeof args.code === 'string')
      show(make('div', { class: 'block' }, make('pre', { class: 'faint' }, args.code)), make('div', { class: 'faint' }, 'running ...'));
  },
  result(result) {
    const run = result._meta?.['power-interpreter/run'];
    if (!run) {
      show(texts(result).map(text => make('div', { class: result.isError ? 'block error' : 'block' }, linked(text))), pictures(result));
      return;
    }
    const error = run.error_message && make('div', { class: 'block error' }, make('pre', {}, run.error_message),
      run.error_traceback ? make('details', {}, make('summary', {}, 'Traceback'), make('pre', {}, run.error_traceback)) : null);
    const files = (run.links ?? []).map(file => make('div', {},
      make('button', { class: 'link', onclick: () => host.openLink(file.url) }, file.filename), ` ${file.size ?? ''}`));
    const facts = [`${run.execution_time_ms ?? '?'} ms`,
      run.kernel_info?.variable_count !== undefined && `${run.kernel_info.variable_count} variables`].filter(Boolean).join(' | ');
    show(
      run.stdout ? make('div', { class: 'block' }, linked(run.stdout)) : null,
      run.stderr ? make('div', { class: 'block' }, make('pre', { class: 'faint' }, run.stderr)) : null,
      error, pictures(result),
      files.length ? make('div', { class: 'block' }, ...files) : null,
      make('div', { class: 'faint' }, facts));
  },
};
host.start();
