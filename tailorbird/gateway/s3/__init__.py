"""S3 as clients around these services use it: buckets, objects, listings, multipart uploads.

Bodies stream: `S3` is an ASGI application of its own behind the gateway's door.
"""

from tailorbird.gateway.s3 import buckets, listing, objects, uploads
from tailorbird.gateway.s3.shelf import Shelf

OPERATIONS = {
    "AbortMultipartUpload": uploads.abort_multipart_upload,
    "CompleteMultipartUpload": uploads.complete_multipart_upload,
    "CopyObject": objects.copy_object,
    "CreateBucket": buckets.create_bucket,
    "CreateMultipartUpload": uploads.create_multipart_upload,
    "DeleteBucket": buckets.delete_bucket,
    "DeleteBucketPolicy": buckets.delete_bucket_policy,
    "DeleteObject": objects.delete_object,
    "DeleteObjects": objects.delete_objects,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketPolicy": buckets.get_bucket_policy,
    "GetObject": objects.get_object,
    "HeadBucket": buckets.head_bucket,
    "HeadObject": objects.head_object,
    "ListBuckets": buckets.list_buckets,
    "ListMultipartUploads": uploads.list_multipart_uploads,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "ListParts": uploads.list_parts,
    "PutBucketPolicy": buckets.put_bucket_policy,
    "PutObject": objects.put_object,
    "UploadPart": uploads.upload_part,
    "UploadPartCopy": uploads.upload_part_copy,
}

__all__ = ["OPERATIONS", "Shelf"]
