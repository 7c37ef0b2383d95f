# SPDX-License-Identifier: GPL-2.0-or-later
"""A file system that forgets what was not fsync'ed: the Python half of forget.c.

    fs = Forget(directory, build)
    env = fs.environment()          # start the program with these variables
    ... kill -9 ...
    fs.power_cut()                  # the directory now holds what was durable, and nothing else
"""
import os, shutil


class Forget:
    def __init__(self, directory, build):
        self.dir = os.path.realpath(directory)
        self.shadow = self.dir + '.shadow'
        self.lib = os.path.join(build, 'tests', 'forget.so')
        os.makedirs(self.dir, exist_ok=True)
        self.seed()

    def seed(self):
        """What is in the directory now is durable."""
        shutil.rmtree(self.shadow, ignore_errors=True)
        for d in ('ino', 'names', 'keep'): os.makedirs(os.path.join(self.shadow, d))
        for folder, dirs, files in os.walk(self.dir):
            rel = os.path.relpath(folder, self.dir)
            with open(os.path.join(self.shadow, 'names', ('' if rel == '.' else rel.replace('/', '%')) + '%'), 'w') as f:
                for n in dirs: f.write('d %d %s\n' % (os.stat(os.path.join(folder, n)).st_ino, n))
                for n in files: f.write('f %d %s\n' % (os.stat(os.path.join(folder, n)).st_ino, n))
            for n in files:
                p = os.path.join(folder, n)
                shutil.copyfile(p, os.path.join(self.shadow, 'ino', str(os.stat(p).st_ino)))

    def environment(self):
        preload = os.environ.get('LD_PRELOAD')
        return {'FORGET_DIR': self.dir, 'FORGET_SHADOW': self.shadow, 'LD_PRELOAD': self.lib + (':' + preload if preload else '')}

    def power_cut(self):
        """Call when the program is dead. Lost: unsynced bytes, unsynced names. A durable name of a file that was
        never synced is an empty file."""
        fresh = self.dir + '.fresh'
        shutil.rmtree(fresh, ignore_errors=True)
        self._restore('', fresh)
        shutil.rmtree(self.dir)
        os.rename(fresh, self.dir)
        self.seed()

    def _restore(self, rel, to):
        os.makedirs(to)
        listing = os.path.join(self.shadow, 'names', rel.replace('/', '%') + '%')
        if not os.path.exists(listing): return
        with open(listing) as f: rows = [l.rstrip('\n').split(' ', 2) for l in f]
        for kind, ino, name in rows:
            target, child = os.path.join(to, name), (rel + '/' if rel else '') + name
            if kind == 'd': self._restore(child, target)
            else:
                data = os.path.join(self.shadow, 'ino', ino)
                if os.path.exists(data): shutil.copyfile(data, target)
                else: open(target, 'w').close()
