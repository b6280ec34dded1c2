# expect: first one two
# expect: second two one three
# expect: third three
# expect: fourth one
import os, subprocess, sys
here = os.getcwd()
def run(*command, **more):
    return ' '.join(subprocess.run(*command, capture_output=True, text=True, **more).stdout.split())
for path, word in (('/tmp/in.txt', 'one'), (here + '/in.txt', 'two')):
    with open(path, 'w') as file:
        file.write(word)
print('first', run(['sh', '-c', 'cat "$1"; echo; cat "$2"', 'sh', '/tmp/in.txt', here + '/in.txt']))
print('second', run(f'echo three >/tmp/out.txt; cat {here}/in.txt; echo; cat /tmp/in.txt; echo; cat "/tmp/out.txt"', shell=True))
print('third', run([sys.executable, '-c', 'print(open("/tmp/out.txt").read())']))
subprocess.run(['dd', 'if=/tmp/in.txt', 'of=/tmp/copy.txt'], stderr=subprocess.DEVNULL)
print('fourth', open('/tmp/copy.txt').read())
# %%
# expect: shell three
!echo shell $(cat /tmp/out.txt)
