# SPDX-License-Identifier: GPL-2.0-or-later
"""An ext4 image from a tar file: made without privileges, and the same each time.

Owners, modes and device nodes come from the tar's headers, never from files on the host.
"""
import os
import stat
import subprocess
import tarfile
import tempfile

from lablib.kernel import require

EPOCH = 1767225600      # 2026-01-01: the one time stamp in everything built here
UUID = '6c6f6467-6500-4000-8000-000000000001'
KINDS = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK,
         tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}
MKE2FS_CONF = '''[defaults]
 base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
 blocksize = 4096
 inode_size = 256
 inode_ratio = 16384
[fs_types]
 ext4 = {
  features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
 }
'''


def ext4_from_tar(tar_path, image, size, label):
    """Writes the ext4 file system `image` of `size` bytes with the content of the tar `tar_path`.

    mke2fs -d copies files but takes their owners from the host; debugfs then sets owner, mode and
    times of each as the tar has them, and makes the device nodes.
    """
    with tempfile.TemporaryDirectory(prefix='lodge-image.') as work:
        tree, script = os.path.join(work, 'tree'), os.path.join(work, 'debugfs')
        os.mkdir(tree)
        with tarfile.open(tar_path) as tar, open(script, 'w') as out:
            folders = _unpack(tar, tree, out)
        conf = os.path.join(work, 'mke2fs.conf')
        with open(conf, 'w') as f:
            f.write(MKE2FS_CONF)
        env = dict(os.environ, E2FSPROGS_FAKE_TIME=str(EPOCH), MKE2FS_CONFIG=conf)
        with open(image, 'wb') as f:
            f.truncate(size)
        _quiet(['mke2fs', '-q', '-F', '-t', 'ext4', '-m', '0', '-L', label, '-U', UUID,
                '-E', 'hash_seed=' + UUID, '-d', tree, image], env)
        _quiet(['debugfs', '-w', '-f', script, image], env)
        for folder in folders:
            os.chmod(folder, 0o755)


def _quiet(command, env):
    """Runs a program of e2fsprogs. debugfs' status says nothing: its complaints are printed."""
    command = require(command[0]) + command[1:]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    harmless = ('debugfs:', 'debugfs 1.', 'Allocated inode:')
    complaints = [x for x in done.stdout.splitlines() if not x.startswith(harmless)]
    if done.returncode or complaints:
        raise RuntimeError('%s: %s' % (command[0], '\n'.join(complaints[:5]) or done.returncode))


def _unpack(tar, tree, script):
    """Unpacks `tar` below `tree`; writes debugfs commands for what ordinary users cannot unpack."""
    folders = []
    for member in tar:
        name = os.path.normpath('/' + member.name)
        if '"' in name or '\n' in name:
            raise ValueError('unusable file name %r' % name)
        path = tree + name
        if member.isdir():
            os.makedirs(path, exist_ok=True)
            folders.append(path)
        elif member.issym():
            os.symlink(member.linkname, path)
        elif member.islnk():
            os.link(tree + os.path.normpath('/' + member.linkname), path)
            continue
        elif member.isreg():
            with open(path, 'wb') as out, tar.extractfile(member) as data:
                while chunk := data.read(1 << 20):
                    out.write(chunk)
            os.chmod(path, 0o600)
        elif member.ischr() or member.isblk():
            script.write('cd "%s"\nmknod "%s" %s %d %d\ncd /\n' % (
                *os.path.split(name), 'c' if member.ischr() else 'b', member.devmajor,
                member.devminor))
        else:
            continue
        mode = KINDS.get(member.type, stat.S_IFREG)
        mode |= 0o777 if member.issym() else member.mode & 0o7777
        script.write('sif "%s" uid %d\nsif "%s" gid %d\nsif "%s" mode 0%o\n' % (
            name, member.uid, name, member.gid, name, mode))
        for field in ('atime', 'ctime', 'mtime', 'crtime'):
            script.write('sif "%s" %s @%d\n' % (name, field, EPOCH))
    return folders
