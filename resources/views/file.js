// A file: its picture or text, and where to download it.
const view = {
  result(result) {
    show(pictures(result), texts(result).map(text => make('div', { class: result.isError ? 'block error' : 'block' }, linked(text))));
  },
};
host.start();
