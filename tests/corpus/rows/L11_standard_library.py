# expect: all imported
import sys, uuid, sqlite3, operator, heapq, logging, pickle, tempfile, asyncio, threading, subprocess, multiprocessing
import socket, ssl, ctypes, zlib, bz2, lzma, secrets, struct, array, bisect, calendar, configparser, contextlib, csv
import decimal, difflib, email, enum, fnmatch, fractions, ftplib, gettext, gzip, hmac, html, http.client, imaplib, inspect
import ipaddress, itertools, linecache, locale, mmap, numbers, platform, pprint, queue, random, re, sched, select, shelve
import shlex, signal, statistics, string, tarfile, textwrap, timeit, tokenize, traceback, types, typing, unicodedata
import unittest, urllib.request, warnings, wave, weakref, xml.etree.ElementTree, zipfile, zoneinfo
print('all imported')
# %%
# expect: [(1, 'one')]
db = sqlite3.connect('t.db')
db.execute('create table t(a, b)')
db.execute("insert into t values (1, 'one')")
db.commit()
print(db.execute('select * from t').fetchall())
# %%
# expect: 45
with tempfile.NamedTemporaryFile('w+') as f:
    f.write('45')
    f.seek(0)
    print(f.read())
# %%
# expect: [0, 1, 4, 9]
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(lambda x: x * x, range(4))))
# %%
# expect: hello from a child
print(subprocess.run(['/bin/echo', 'hello from a child'], capture_output=True, text=True).stdout)
# %%
# expect: [1, 4, 9]
def square(x):
    return x * x
with multiprocessing.get_context('fork').Pool(2) as pool:
    print(pool.map(square, [1, 2, 3]))
